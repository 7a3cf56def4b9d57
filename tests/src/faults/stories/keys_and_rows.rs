//! What is kept was changed by somebody, or cannot be opened.

use std::path::Path;

use anyhow::ensure;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::faults::drive::drive;
use crate::faults::report::Report;
use crate::faults::scene::{ADA, Between, Scene};
use crate::stack::Builder;

/// Of the row of Ada's connection.
const TAMPERED: [(&str, &str); 3] = [
    ("a bit of a token is flipped", "access_token = CAST(x'00' || substr(access_token, 2) AS BLOB)"),
    (
        "the row of another member",
        "access_token = (SELECT access_token FROM connections AS other WHERE other.member_id != :ada),
         refresh_token = (SELECT refresh_token FROM connections AS other WHERE other.member_id != :ada)",
    ),
    ("another generation", "generation = generation + 1"),
];

pub(super) async fn tampered_rows() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Nothing, Builder::default()).await?;
    for (variant, change) in TAMPERED {
        drive(
            &mut scene,
            ("F12", variant),
            async |scene| {
                let ada = format!("'{}'", scene.stack.seeded.member);
                let change = change.replace(":ada", &ada);
                let statement = format!("UPDATE connections SET {change} WHERE member_id = {ada}");
                let changed = execute(&scene.stack.directory, &statement).await?;
                ensure!(changed == 1, "{changed} rows changed");
                scene.forget_leases().await
            },
            async |scene| scene.connect(&scene.ada(), ADA).await,
        )
        .await?;
    }
    scene.end().await.map(Some)
}

async fn execute(directory: &Path, statement: &str) -> anyhow::Result<u64> {
    let file = directory.join("portcullis.db");
    let mut database = sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await?;
    Ok(database.execute(AssertSqlSafe(statement.to_owned())).await?.rows_affected())
}

pub(super) async fn wrong_root_key() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Nothing, Builder::default()).await?;
    let file = scene.stack.directory.join("root-key");
    let key = std::fs::read_to_string(&file)?;
    let wrong = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n";
    for (variant, content) in [("another key", Some(wrong)), ("no key", None)] {
        drive(
            &mut scene,
            ("F13", variant),
            async |scene| {
                scene.stack.service.kill()?;
                match content {
                    Some(content) => std::fs::write(&file, content)?,
                    None => std::fs::remove_file(&file)?,
                }
                let started = scene.stack.service.restart().await;
                scene.report.expect(started.is_err(), format!("started with {variant}"));
                scene
                    .report
                    .expect(file.exists() == content.is_some(), format!("with {variant}, a key was written"));
                Ok(())
            },
            async |scene| {
                std::fs::write(&file, &key)?;
                scene.stack.service.restart().await
            },
        )
        .await?;
    }
    scene.end().await.map(Some)
}
