//! Disks that are full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::faults::drive::{drive, drive_as};
use crate::faults::report::Report;
use crate::faults::scene::{ADA_THERE, Between, Scene};
use crate::faults::{Driven, Outcome, catalogue};
use crate::fetched::required;
use crate::stack::Builder;

/// What the parts of a stack write in the time of a story, many times over.
const SIZE: &str = "size=24m";
const CHUNK: usize = 64 * 1024;

/// A small disk of its own. Dropping it takes it away.
#[derive(Debug)]
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    /// `None` where nothing may be mounted.
    fn mount() -> anyhow::Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        Ok(mounted.then_some(Self { directory }))
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Leaves no room for anything.
    fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.filler())?;
        let mut size = CHUNK;
        while size > 0 {
            if file.write_all(&vec![b'x'; size]).is_err() {
                size /= 2;
            }
        }
        Ok(())
    }

    fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file there keeps it.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}

pub(super) async fn full() -> anyhow::Result<Option<Report>> {
    let Some(disk) = required("a disk of its own, for which mount(8) has to be allowed", Disk::mount()?)
    else {
        return Ok(None);
    };
    let mut report = of_the_token_service(&disk).await?;
    report.add(of_envoy(&disk).await?);
    Ok(Some(report))
}

async fn of_the_token_service(disk: &Disk) -> anyhow::Result<Report> {
    let directory = disk.path().join("service");
    std::fs::create_dir(&directory)?;
    let mut scene =
        Scene::start(Between::Nothing, Builder { directory: Some(directory), ..Builder::default() }).await?;
    drive(
        &mut scene,
        ("F10", "requests go on"),
        async |scene| {
            disk.fill()?;
            let written = write_until_refused(scene).await?;
            println!("    {written} changes fitted into what was there");
            Ok(())
        },
        async |_| disk.make_room(),
    )
    .await?;
    let usual = catalogue::driven_fault("F10").context("F10 is driven")?;
    // No renewal is begun that could not be kept.
    let during = [Outcome::Served, Outcome::Refused, Outcome::Served];
    drive_as(
        &mut scene,
        ("F10", "a token would have to be renewed"),
        Driven { during, ..usual },
        async |scene| {
            disk.fill()?;
            write_until_refused(scene).await?;
            scene.provider.expire_access_tokens_of(ADA_THERE);
            Ok(())
        },
        async |scene| {
            let asked = scene.provider.ledger.requests_of("refresh_token").len();
            scene.report.expect(asked == 0, format!("the provider was asked {asked} times"));
            disk.make_room()
        },
    )
    .await?;
    let checked = std::process::Command::new("sqlite3")
        .arg(scene.stack.directory.join("portcullis.db"))
        .arg("PRAGMA integrity_check")
        .output();
    if let Ok(checked) = checked {
        let said = String::from_utf8_lossy(&checked.stdout).trim().to_owned();
        scene.report.expect(said == "ok", format!("the database is {said}"));
    }
    scene.end().await
}

/// Makes changes until there is no room for one more; how many there were.
async fn write_until_refused(scene: &Scene) -> anyhow::Result<usize> {
    let path = format!("/v1/members/{}", scene.stack.seeded.member);
    let name = "x".repeat(100);
    for count in 0..10_000 {
        let change = json!({"name": if count % 2 == 0 { &name } else { crate::faults::scene::ADA }});
        if scene.stack.admin().patch(&path, change).await.is_err() {
            return Ok(count);
        }
    }
    anyhow::bail!("a full disk takes everything")
}

async fn of_envoy(disk: &Disk) -> anyhow::Result<Report> {
    let directory = tempfile::tempdir()?;
    let (log, there) = (directory.path().join("access.jsonl"), disk.path().join("access.jsonl"));
    std::os::unix::fs::symlink(&there, &log)?;
    let builder = Builder { directory: Some(directory.path().to_owned()), ..Builder::default() };
    let mut scene = Scene::start(Between::Nothing, builder).await?;
    drive(
        &mut scene,
        ("F47", ""),
        async |_| {
            disk.fill()?;
            let length = std::fs::metadata(&there).context("Envoy logs elsewhere")?.len();
            ensure!(length > 0, "Envoy has logged nothing yet");
            Ok(())
        },
        async |_| disk.make_room(),
    )
    .await?;
    scene.end().await
}
