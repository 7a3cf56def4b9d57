//! The token-service as a process of the machine.

use std::sync::Arc;

use tokio::fs;

use crate::stand::Stand;

/// A fault leaves no copy of its memory behind, whatever its user's limits are.
pub(crate) async fn nobody_looks_into_the_token_service(stand: Arc<Stand>) {
    let process = stand.stack.service.process.id();
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).await.expect("its limits");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    let numbers: Vec<&str> = line.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    assert_eq!(numbers, ["0", "0"], "{line}");
}
