use super::*;
use crate::clock::FakeClock;
use crate::store::dir::DirStore;
use crate::store::mem::MemStore;
use std::time::Duration;

struct World {
    store: Arc<MemStore>,
    clock: Arc<FakeClock>,
}

impl World {
    fn new() -> World {
        World { store: Arc::new(MemStore::new()), clock: Arc::new(FakeClock::at("2026-11-20T12:30:00Z").unwrap()) }
    }
    fn control(&self) -> Control {
        Control::new(self.store.clone(), self.clock.clone())
    }
    async fn claim(&self, limit: &RateLimit, account: &str, function: &str) -> Room {
        self.control().claim(limit, &target(account, function), &RunId("r".into()), "test").await.unwrap()
    }
    async fn later(&self, minutes: u64) {
        self.clock.sleep(Duration::from_secs(minutes * 60)).await;
    }
}

fn target(account: &str, function: &str) -> Target {
    Target { partition: "aws".into(), account: account.into(), region: "eu-west-1".into(), function: function.into(), qualifier: None }
}

const A: &str = "111111111111";
const B: &str = "222222222222";

#[tokio::test]
async fn a_halt_stands_until_it_is_lifted_and_can_be_put_again() {
    let world = World::new();
    let control = world.control();
    assert_eq!(control.standing().await.unwrap(), Standing::default());
    assert_eq!(control.stop(Brake::Halt, "alice", "game day").await.unwrap(), "control/stops/halt-000001.json");
    assert_eq!(control.stop(Brake::Halt, "bob", "me too").await.unwrap(), "control/stops/halt-000002.json");
    control.stop(Brake::Breaker, "run r", "did not hold").await.unwrap();
    let standing = control.standing().await.unwrap();
    let by: Vec<&str> = standing.halts.iter().map(|s| s.by.as_str()).collect();
    assert_eq!((by, standing.breakers.len()), (vec!["alice", "bob"], 1));
    assert_eq!((standing.halts[0].why.as_str(), standing.halts[0].at.as_str()), ("game day", "2026-11-20T12:30:00.000Z"));
    assert_eq!(control.lift(Brake::Halt, "carol", "over").await.unwrap().len(), 2);
    let standing = control.standing().await.unwrap();
    assert_eq!((standing.halts.len(), standing.breakers.len()), (0, 1), "the breaker is another thing");
    control.lift(Brake::Breaker, "carol", "looked at").await.unwrap();
    control.stop(Brake::Halt, "dave", "again").await.unwrap();
    assert_eq!(control.standing().await.unwrap().halts[0].key, "control/stops/halt-000003.json");
}

#[tokio::test]
async fn what_somebody_put_by_hand_stops_too_whatever_it_says() {
    for (bytes, why) in
        [(&b""[..], "no reason given"), (b"deploy freeze\n", "deploy freeze"), (b"\x1b[31m\xff{", "[31m\u{fffd}{"), (&[b'x'; 100_000], "x")]
    {
        let world = World::new();
        world.store.put_if_absent(BY_HAND, bytes.to_vec()).await.unwrap();
        let standing = world.control().standing().await.unwrap();
        assert_eq!(standing.halts.len(), 1);
        assert!(standing.halts[0].why.contains(why) && standing.halts[0].why.chars().count() <= WHY, "{:?}", standing.halts[0]);
        assert!(!standing.halts[0].why.contains('\u{1b}'));
        assert!(world.control().lift(Brake::Halt, "x", "y").await.unwrap().is_empty(), "nobody here can delete it");
        assert_eq!(world.control().standing().await.unwrap().halts.len(), 1);
    }
    // Other names in the folder are nothing, and a stop whose text is spoilt is one.
    let world = World::new();
    for key in ["control/stops/halt-x.json", "control/stops/note.txt", "control/stops/halt-000009.json.bak", "control/approvals/a.json"] {
        world.store.put_if_absent(key, b"x".to_vec()).await.unwrap();
    }
    assert_eq!(world.control().standing().await.unwrap(), Standing::default());
    world.store.put_if_absent("control/stops/halt-000004.json", b"{".to_vec()).await.unwrap();
    assert_eq!(world.control().standing().await.unwrap().halts.len(), 1);
}

#[tokio::test]
async fn racing_halts_all_stand() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<FakeClock> = World::new().clock;
    let stops = (0..8).map(|n| {
        let control = Control::new(Arc::new(DirStore::open(dir.path()).unwrap()), clock.clone());
        async move { control.stop(Brake::Halt, &format!("p{n}"), "race").await.unwrap() }
    });
    let keys: BTreeSet<String> = join_all(stops).await.into_iter().collect();
    assert_eq!(keys.len(), 8);
    let control = Control::new(Arc::new(DirStore::open(dir.path()).unwrap()), clock);
    assert_eq!(control.standing().await.unwrap().halts.len(), 8);
}

#[tokio::test]
async fn three_functions_an_account_and_ten_an_organisation_within_any_hour() {
    let world = World::new();
    let limit = RateLimit::default();
    for (minutes, function) in [(0, "a"), (10, "b"), (10, "c")] {
        world.later(minutes).await;
        assert_eq!(world.claim(&limit, A, function).await, Room::Yes);
    }
    let no = Room::No { limit: 3, account: Some(A.into()), from: "2026-11-20T13:30:00.000Z".into() };
    assert_eq!(world.claim(&limit, A, "d").await, no);
    assert_eq!(world.claim(&limit, A, "b").await, Room::Yes, "the same function again is no wider a blast");
    assert_eq!(world.claim(&limit, B, "d").await, Room::Yes);
    // 13:29, in the next hour of the clock; the first is 59 minutes old.
    world.later(39).await;
    assert_eq!(world.claim(&limit, A, "d").await, no);
    world.later(2).await;
    assert_eq!(world.claim(&limit, A, "d").await, Room::Yes);
    assert!(matches!(world.claim(&limit, A, "e").await, Room::No { .. }));

    let world = World::new();
    for n in 0..10 {
        assert_eq!(world.claim(&limit, &format!("{n:012}"), "f").await, Room::Yes);
    }
    assert_eq!(world.claim(&limit, B, "f").await, Room::No { limit: 10, account: None, from: "2026-11-20T13:30:00.000Z".into() });
    let none = RateLimit { per_account: 0, ..limit };
    assert!(matches!(World::new().claim(&none, A, "f").await, Room::No { limit: 0, from, .. } if from.starts_with("never")));
}

#[tokio::test]
async fn racers_share_one_limit() {
    let dir = tempfile::tempdir().unwrap();
    let clock = World::new().clock;
    let claims = (0..12).map(|n| {
        let control = Control::new(Arc::new(DirStore::open(dir.path()).unwrap()), clock.clone());
        async move { control.claim(&RateLimit::default(), &target(A, &format!("f{n}")), &RunId(format!("r{n}")), "t").await.unwrap() }
    });
    let yes = join_all(claims).await.into_iter().filter(|r| *r == Room::Yes).count();
    assert_eq!(yes, 3);
}

/// Two hosts whose clocks stand on both sides of the full hour.
#[tokio::test]
async fn the_turn_of_the_hour_makes_no_second_limit() {
    let world = World::new();
    let limit = RateLimit { per_account: 1, ..RateLimit::default() };
    let at = |t: &str| Control::new(world.store.clone(), Arc::new(FakeClock::at(t).unwrap()));
    let (before, after) = (at("2026-11-20T12:59:59.900Z"), at("2026-11-20T13:00:00.100Z"));
    let run = RunId("r".into());
    assert_eq!(before.claim(&limit, &target(A, "f"), &run, "t").await.unwrap(), Room::Yes);
    assert!(matches!(after.claim(&limit, &target(A, "g"), &run, "t").await.unwrap(), Room::No { .. }));
    assert!(matches!(before.claim(&limit, &target(A, "g"), &run, "t").await.unwrap(), Room::No { .. }));
}

#[tokio::test]
async fn a_count_that_cannot_be_read_counts() {
    let world = World::new();
    let limit = RateLimit { per_account: 2, ..RateLimit::default() };
    for n in 1..=2 {
        world.store.put_if_absent(&format!("control/rate/2026112012/{n:06}.json"), b"{}".to_vec()).await.unwrap();
    }
    assert!(matches!(world.claim(&limit, A, "f").await, Room::No { limit: 2, .. }));
}

#[tokio::test]
async fn a_store_that_refuses_is_an_error_and_no_room() {
    let world = World::new();
    world.store.refuse_puts_after(0);
    assert!(world.control().claim(&RateLimit::default(), &target(A, "f"), &RunId("r".into()), "t").await.is_err());
    assert!(world.control().stop(Brake::Halt, "a", "b").await.is_err());
}
