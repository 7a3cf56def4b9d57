//! A replica stands still in the middle of a renewal (SIGSTOP, as a paused virtual machine does), and wakes up when
//! another one has taken over: it changes nothing any more, and sends nothing twice.

use portcullis_token_service::broker::failpoints::Failpoint;

use crate::authorization_server::Reuse;
use crate::replica::{Orders, Replica};
use crate::stage::{OAUTH, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_paused_is_fenced() {
    for (point, reconnect, uses) in [
        (Failpoint::AfterAcquire, false, 1),
        (Failpoint::BeforeSend, false, 1),
        (Failpoint::AfterMarkSent, false, 1),
        // It holds the only good token, which the provider revokes when the old one comes again.
        (Failpoint::AfterReply, true, 2),
        (Failpoint::AfterCommit, false, 1),
    ] {
        let stage = Stage::new(Reuse::Strict).await;
        stage.connected("ada", -60).await;
        let orders = Orders {
            home: stage.home.clone(),
            server: OAUTH.to_owned(),
            member: "ada".to_owned(),
            callers: 1,
            die_at: None,
            pause_at: Some(format!("{point:?}")),
            commits_fail: false,
        };
        let mut paused = Replica::start(&orders).await;
        paused.run_until_paused().await;
        let awake = Replica::start(&Orders { pause_at: None, ..orders }).await.run().await.expect("lives");
        let paused = paused.resume().await;
        assert_eq!(paused, awake, "{point:?}");
        assert_eq!((awake.reconnect == 1, awake.lost), (reconnect, 0), "{point:?}: {awake:?}");
        for token in &awake.tokens {
            assert_eq!(stage.provider.ledger().owner_of(token), Some("ada"), "{point:?}");
        }
        assert_eq!(stage.provider.ledger().uses("ada").into_iter().max(), Some(uses), "{point:?}");
    }
}
