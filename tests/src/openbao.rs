//! OpenBao, the free HashiCorp Vault, with a key of its transit engine: a real place for a root key.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::fetched;
use crate::patience::poll;
use crate::port::Reserved;
use crate::process::{Process, Program};

/// Whoever has it may do everything.
const ROOT_TOKEN: &str = "openbao-root-token-71c2e9";
/// What the token of the token-service may do.
const POLICY: &str = r#"
path "transit/encrypt/portcullis" { capabilities = ["update"] }
path "transit/decrypt/portcullis" { capabilities = ["update"] }
"#;

/// A server in memory, with TLS by an authority of its own.
#[derive(Debug)]
pub struct OpenBao {
    program: PathBuf,
    directory: PathBuf,
    address: String,
    pub process: Process,
}

impl OpenBao {
    /// With the key `portcullis`, and a file with a token that may use it and nothing else. `None` where there is no
    /// OpenBao, which is reported.
    pub async fn start(directory: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = fetched::openbao() else { return Ok(None) };
        let port = Reserved::take(None)?.address()?.port();
        let text = |path: &Path| path.display().to_string();
        let started = Program {
            name: "openbao",
            path: program.clone(),
            arguments: [
                "server".to_owned(),
                "-dev-tls".to_owned(),
                "-dev-no-store-token".to_owned(),
                format!("-dev-tls-cert-dir={}", text(directory)),
                format!("-dev-root-token-id={ROOT_TOKEN}"),
                format!("-dev-listen-address=127.0.0.1:{port}"),
            ]
            .map(Into::into)
            .into(),
            environment: Vec::new(),
        };
        let process = Process::start(&started, directory)?;
        let server = Self {
            program,
            directory: directory.to_owned(),
            address: format!("https://127.0.0.1:{port}"),
            process,
        };
        let ready =
            poll(async || server.ask(&["status"]).await.ok().filter(|output| output.status.success()));
        ready.await.with_context(|| format!("OpenBao does not get ready\n{}", server.process.log_tail()))?;
        std::fs::write(server.path("policy.hcl"), POLICY)?;
        server.run(&["secrets", "enable", "transit"]).await?;
        server.run(&["write", "-f", "transit/keys/portcullis"]).await?;
        server.run(&["policy", "write", "portcullis", &text(&server.path("policy.hcl"))]).await?;
        server.renew_token().await?;
        Ok(Some(server))
    }

    /// A new token in the file, as Vault Agent puts one there.
    pub async fn renew_token(&self) -> anyhow::Result<()> {
        let token = self.run(&["token", "create", "-policy=portcullis", "-field=token"]).await?;
        let file = self.token_file();
        std::fs::write(file.with_extension("new"), token)?;
        std::fs::rename(file.with_extension("new"), file)?;
        Ok(())
    }

    /// What `root_key` says for its key.
    pub fn root_key(&self) -> Value {
        json!({"vault": {
            "address": self.address,
            "key": "portcullis",
            "ca": self.ca(),
            "token": {"file": self.token_file()},
        }})
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn ca(&self) -> PathBuf {
        self.path("vault-ca.pem")
    }

    pub fn token_file(&self) -> PathBuf {
        self.path("openbao-token")
    }

    /// Runs a command of its administrator's; what it prints.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.ask(arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bao {}: {said}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn ask(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", &self.directory);
        command.env("BAO_ADDR", &self.address).env("BAO_TOKEN", ROOT_TOKEN).env("BAO_CACERT", self.ca());
        Ok(command.output().await?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}
