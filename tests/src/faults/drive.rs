//! One fault from beginning to end.

use anyhow::Context as _;
use tokio::time::Instant;

use super::report::{Cell, Seen};
use super::scene::Scene;
use super::{Condition, Driven, Outcome, catalogue};

/// Lets `inject` make the fault `id`, looks at each condition, lets `heal` end it, and looks again. What is served for a
/// while only is watched first and to its end; whoever comes anew comes last.
pub async fn drive(
    scene: &mut Scene,
    (id, variant): (&'static str, &'static str),
    inject: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
    heal: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let driven = catalogue::driven_fault(id).with_context(|| format!("{id} is not driven"))?;
    drive_as(scene, (id, variant), driven, inject, heal).await
}

/// [`drive`] for a way of making a fault that shows something else than the others.
pub async fn drive_as(
    scene: &mut Scene,
    (id, variant): (&'static str, &'static str),
    driven: Driven,
    inject: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
    heal: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    println!("{id} {variant}");
    scene.calm().await?;
    scene.judge(false).await;
    inject(scene).await.with_context(|| format!("{id} cannot be injected"))?;
    let begun = Instant::now();
    let during = look_during(scene, driven, begun).await?;
    heal(scene).await.with_context(|| format!("{id} cannot be healed"))?;
    let healed = Instant::now();
    let after = look_after(scene, driven).await?;
    scene.report.healed.push((id, healed.elapsed()));
    if during.iter().chain(&after).any(|seen| !seen.holds()) {
        println!("{}", scene.stack.service.process.log_tail());
    }
    println!("    healed after {} ms", healed.elapsed().as_millis());
    scene.judge(driven.may_reach).await;
    for (condition, (during, after)) in Condition::ALL.into_iter().zip(during.into_iter().zip(after)) {
        println!("    {condition:<14} {during:<28} {after}");
        scene.report.cells.push(Cell { fault: id, variant, condition, during, after });
    }
    Ok(())
}

async fn look_during(scene: &mut Scene, driven: Driven, begun: Instant) -> anyhow::Result<[Seen; 3]> {
    let [of_first, of_cached, of_stream] = driven.during;
    let expected = [(Condition::Cached, of_cached), (Condition::Stream, of_stream)];
    let (lasting, passing): (Vec<_>, Vec<_>) =
        expected.into_iter().partition(|(_, expected)| *expected != Outcome::ServedForAWhile);
    let mut seen_now = scene.for_a_while(passing.into_iter().map(|(condition, _)| condition), begun).await;
    for (condition, expected) in lasting {
        seen_now.insert(condition, scene.now(condition, expected).await?);
    }
    seen_now.insert(Condition::First, scene.now(Condition::First, of_first).await?);
    Ok(seen(driven.during, Condition::ALL.map(|condition| seen_now[&condition])))
}

async fn look_after(scene: &mut Scene, driven: Driven) -> anyhow::Result<[Seen; 3]> {
    let [of_first, of_cached, of_stream] = driven.after;
    let cached = scene.after(Condition::Cached, of_cached).await?;
    let first = scene.after(Condition::First, of_first).await?;
    let stream = scene.after(Condition::Stream, of_stream).await?;
    Ok(seen(driven.after, [first, cached, stream]))
}

fn seen(expected: [Outcome; 3], outcomes: [Outcome; 3]) -> [Seen; 3] {
    let mut outcomes = outcomes.into_iter();
    expected.map(|expected| Seen { expected, outcome: outcomes.next().unwrap_or(Outcome::NotACase) })
}
