#!/bin/sh
# Sees to it that there are a registry (docker-registry), what carries images to and from it (skopeo), and what builds
# them (buildah), for the tests of images: those of Debian's packages, or whatever is on the PATH. Also the shared libraries
# of Debian 13, on which the token-service's image rests. Tests that lack one of them are skipped, and say so.
set -eu

# As in tests/image/tools.py.
directory=target/tools/oci
# Other versions below are fetched anew.
complete=$directory/complete-$(cksum <"$0" | cut -d " " -f 1)
if [ -e "$complete" ]; then exit 0; fi

fetch() { tests/tools/debian.sh "$1" "$2" "$3" "$directory/$4"; }

# Debian takes a version away when a point release replaces it; then the next one and its digest are to be named here.
#
# Debian 12's programs, because they run with its libc and any later one. Of their libraries those that a plain Debian or
# Ubuntu may lack.
fetch_all() {
    fetch d/docker-registry/docker-registry_2.8.2+ds1-1_amd64.deb \
        a9bd06c0e006854608f8469b4371743f40604ad90975532bb3b7ceeb72fe2913 usr/bin/docker-registry bin/docker-registry &&
        fetch s/skopeo/skopeo_1.9.3+ds1-1+b10_amd64.deb \
            5c1978f6a95577b143be772bbe50c247a28132a5cc961c74d4d2a6f2b1ab4f3d usr/bin/skopeo bin/skopeo &&
        fetch g/golang-github-containers-buildah/buildah_1.28.2+ds1-3+deb12u1+b3_amd64.deb \
            d12d6017f6ba04d8e0f9c3327fc39375f866b05a731522be211057f6df63fbf5 usr/bin/buildah bin/buildah &&
        fetch g/gpgme1.0/libgpgme11_1.18.0-3+b1_amd64.deb \
            dc075584050dc5c8ac27563fc222e8c1ea71128a019a6d129d5823e47ac1e55e 'usr/lib/*/libgpgme.so.11.*' lib/libgpgme.so.11 &&
        fetch liba/libassuan/libassuan0_2.5.5-5_amd64.deb \
            5912430927da16ccc831459679207fdbb9dfc5a206f2bab8d6f36d5a1ab53e25 'usr/lib/*/libassuan.so.0.*' lib/libassuan.so.0 &&
        fetch l/lvm2/libdevmapper1.02.1_1.02.185-2_amd64.deb \
            aaa78ca236055fedccf637eacf7bda02bf1980b2db668dccd202b04d0d2cfe04 \
            'lib/*/libdevmapper.so.1.02.1' lib/libdevmapper.so.1.02.1 &&
        fetch libs/libseccomp/libseccomp2_2.5.4-1+deb12u1_amd64.deb \
            108fe67957ca7cf9ba51d801118a1b37d404bea7b6e365025cd00779e9eca38d 'usr/lib/*/libseccomp.so.2.*' lib/libseccomp.so.2 &&
        fetch g/glibc/libc6_2.41-12+deb13u5_amd64.deb \
            b59b0625cd1a791375d40dab23a4d5d3d0641e3d0a773501becdc3725b7f99cf 'usr/lib/x86_64-linux-gnu' debian13/libc6 &&
        fetch g/gcc-14/libgcc-s1_14.2.0-19_amd64.deb \
            3c71917b490d1a17aed43196a2787a256ecf060526cdb20216a74bedc061b150 'usr/lib/x86_64-linux-gnu' debian13/libgcc-s1
}

if [ "$(dpkg --print-architecture 2>/dev/null || echo unknown)" = amd64 ]; then
    echo "fetching skopeo, buildah and docker-registry"
    rm -rf "$directory"
    if fetch_all; then
        touch "$complete"
        exit 0
    fi
fi

echo "missing: skopeo, buildah or docker-registry, for the tests of images" >&2
echo "    install them: sudo apt-get install skopeo buildah docker-registry" >&2
[ "${REQUIRE_ALL:-}" != 1 ]
