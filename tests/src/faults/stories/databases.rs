//! The database is gone, slow, behind, or used by somebody who stood still.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::{Map, json};

use crate::faults::drive::{drive, drive_as};
use crate::faults::line::{Line, State};
use crate::faults::report::Report;
use crate::faults::scene::{ADA, ADA_THERE, Between, Scene};
use crate::faults::{Driven, Outcome, catalogue};
use crate::patience::{poll, within};
use crate::postgres::{self, Database};
use crate::seed::member_key;
use crate::stack::{Asked, Builder};

const SLOW: Duration = Duration::from_secs(5);

/// A database behind a line, and a scene on it.
struct Far {
    database: Database,
    line: Line,
    scene: Scene,
}

impl Far {
    /// `None` where there is no PostgreSQL, which is reported.
    async fn start(builder: Builder) -> anyhow::Result<Option<Self>> {
        let Some(database) = Database::make().await else { return Ok(None) };
        let line = Line::to(postgres::server(&database)).await?;
        let sections = Map::from_iter([("store".to_owned(), postgres::store_by(&database, line.address()))]);
        let scene = Scene::start(Between::Nothing, Builder { sections, ..builder }).await?;
        Ok(Some(Self { database, line, scene }))
    }

    async fn end(self) -> anyhow::Result<Option<Report>> {
        let report = self.scene.end().await?;
        self.database.remove().await;
        Ok(Some(report))
    }
}

pub(super) async fn gone() -> anyhow::Result<Option<Report>> {
    let Some(mut far) = Far::start(Builder::default()).await? else { return Ok(None) };
    let (scene, line, database) = (&mut far.scene, &far.line, &far.database);
    drive(
        scene,
        ("F7", ""),
        async |_| {
            line.set(State::Cut);
            Ok(())
        },
        async |scene| {
            let (alive, ready) = (health(scene, "livez").await, health(scene, "readyz").await);
            scene.report.expect(alive == Some(200), format!("alive without a database: {alive:?}"));
            scene.report.expect(ready == Some(503), format!("ready without a database: {ready:?}"));
            let made = within("an answer of the admin API", make_key(scene)).await;
            scene.report.expect(made.is_err(), "a key was made without a database");
            line.set(State::Open);
            Ok(())
        },
    )
    .await?;
    drive(
        scene,
        ("F8", ""),
        async |_| {
            line.set(State::Slow(SLOW));
            Ok(())
        },
        async |_| {
            line.set(State::Open);
            Ok(())
        },
    )
    .await?;
    drive(
        scene,
        ("F42", ""),
        async |scene| {
            // The listening connection among them: what is committed meanwhile is heard of all the same.
            database.disconnect_all().await;
            let key = make_key(scene).await?;
            let caller = scene.holder_of(&key);
            let served = scene.until(&caller, Outcome::Served).await;
            scene.report.expect(served.is_ok(), format!("a new key was {served:?}"));
            disable(scene, &key.id).await?;
            let refused = scene.until(&caller, Outcome::Unauthenticated).await;
            scene.report.expect(refused.is_ok(), format!("a disabled key was {refused:?}"));
            Ok(())
        },
        async |_| Ok(()),
    )
    .await?;
    far.end().await
}

pub(super) async fn failed_over() -> anyhow::Result<Option<Report>> {
    let Some(mut far) = Far::start(Builder::default()).await? else { return Ok(None) };
    let (scene, line, database) = (&mut far.scene, &far.line, &far.database);
    drive(
        scene,
        ("F6", "the last commit is lost"),
        async |scene| {
            stop(line, database).await;
            database.make_standby().await;
            line.set(State::Open);
            scene.calm().await?;
            scene.renew(ADA_THERE).await?;
            stop(line, database).await;
            database.fail_over().await;
            line.set(State::Open);
            scene.everybody_knows().await?;
            // What the filter still has is good for a while longer.
            scene.forget_leases().await
        },
        async |scene| {
            let reuses = scene.provider.ledger.reuses();
            scene.report.expect(reuses <= 1, format!("{reuses} uses of refresh tokens that were used up"));
            scene.connect(&scene.ada(), ADA).await
        },
    )
    .await?;
    let usual = catalogue::driven_fault("F6").context("F6 is driven")?;
    drive_as(
        scene,
        ("F6", "the primary vanishes without a word"),
        Driven { during: [Outcome::Served; 3], may_reach: false, ..usual },
        async |scene| {
            line.strand();
            let found = scene.until_fresh().await;
            scene.report.expect(found.is_ok(), format!("connections to nobody are kept: {found:?}"));
            Ok(())
        },
        async |_| Ok(()),
    )
    .await?;
    far.end().await
}

/// Nobody can reach the database, and nobody is connected.
async fn stop(line: &Line, database: &Database) {
    line.set(State::Cut);
    database.disconnect_all().await;
}

pub(super) async fn paused_replica() -> anyhow::Result<Option<Report>> {
    let builder = Builder { replicas: 1, asked: Asked::All, ..Builder::default() };
    let Some(mut far) = Far::start(builder).await? else { return Ok(None) };
    drive(
        &mut far.scene,
        ("F43", ""),
        async |scene| {
            scene.replica()?.process.freeze()?;
            let key = make_key(scene).await?;
            let caller = scene.holder_of(&key);
            let served = scene.until(&caller, Outcome::Served).await;
            scene.report.expect(served.is_ok(), format!("beside a replica that stands still: {served:?}"));
            disable(scene, &key.id).await?;
            scene.replica()?.process.thaw()?;
            // Whichever of them is asked from here on.
            for _ in 0..8 {
                let refused = scene.until(&caller, Outcome::Unauthenticated).await;
                scene.report.expect(refused.is_ok(), format!("after it goes on: {refused:?}"));
            }
            scene.replica()?.process.freeze()?;
            let envoy = &scene.stack.envoy;
            let healthy = "cluster.token_service.membership_healthy$";
            let left_out = poll(async || (envoy.stat(healthy).await.ok()? == 1).then_some(()));
            left_out.await.context("Envoy does not leave out who stands still")?;
            scene.until_fresh().await.map(drop).map_err(|outcome| anyhow!("a new caller is {outcome}"))
        },
        async |scene| Ok(scene.replica()?.process.thaw()?),
    )
    .await?;
    far.end().await
}

pub(super) async fn power_cut() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Nothing, Builder::default()).await?;
    drive(
        &mut scene,
        ("F11", ""),
        async |scene| {
            make_key(scene).await?;
            scene.stack.service.kill()?;
            // The end of what was written never reached the disk.
            let log = scene.stack.directory.join("portcullis.db-wal");
            let length = std::fs::metadata(&log)?.len();
            let file = std::fs::OpenOptions::new().write(true).open(&log)?;
            file.set_len(length.saturating_sub(3_000))?;
            scene.stack.service.restart().await.context("with a log that was cut short")?;
            scene.everybody_knows().await
        },
        async |_| Ok(()),
    )
    .await?;
    let backup = tempfile::tempdir()?;
    drive(
        &mut scene,
        ("F45", ""),
        async |scene| {
            scene.stack.service.kill()?;
            copy_database(&scene.stack.directory, backup.path())?;
            scene.stack.service.restart().await?;
            scene.calm().await?;
            scene.renew(ADA_THERE).await?;
            scene.stack.service.kill()?;
            copy_database(backup.path(), &scene.stack.directory)?;
            scene.stack.service.restart().await?;
            scene.everybody_knows().await?;
            scene.forget_leases().await
        },
        async |scene| scene.connect(&scene.ada(), ADA).await,
    )
    .await?;
    scene.end().await.map(Some)
}

fn copy_database(from: &std::path::Path, to: &std::path::Path) -> anyhow::Result<()> {
    for name in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name))?;
        } else if to.join(name).exists() {
            std::fs::remove_file(to.join(name))?;
        }
    }
    Ok(())
}

async fn make_key(scene: &Scene) -> anyhow::Result<crate::seed::IssuedKey> {
    let seeded = &scene.stack.seeded;
    member_key(scene.stack.admin(), &seeded.workspace, &seeded.member, "another").await
}

async fn disable(scene: &Scene, key: &str) -> anyhow::Result<()> {
    let path = format!("/v1/keys/{key}");
    scene.stack.admin().patch(&path, json!({"disabled": true})).await.map(drop)
}

async fn health(scene: &Scene, what: &str) -> Option<u16> {
    let url = format!("{}/{what}", scene.stack.service.internal_url());
    let asked = crate::http::client().build().ok()?.get(url).send();
    within("an answer about its health", asked).await.ok().map(|answer| answer.status().as_u16())
}
