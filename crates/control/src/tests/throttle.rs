use super::*;

async fn guess(c: &Control, email: &str, password: &str, address: &str) -> Result<Session, ControlError> {
    let client = Client { address, user_agent: "" };
    c.sign_in(SignIn { tenant: Some(&tenant("acme")), email, password, code: None, client }).await
}

#[track_caller]
fn wait_of(result: Result<Session, ControlError>) -> i64 {
    match result {
        Err(ControlError::Throttled { retry_after_ms }) => retry_after_ms,
        other => panic!("not throttled: {other:?}"),
    }
}

const HOME: &str = "192.0.2.9";

#[tokio::test]
async fn an_account_waits_longer_each_time_and_then_is_locked_whether_it_exists_or_not() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let there = control(&f).await;
        with_password(&c, &t, "ada@example.com", "viewer").await;
        for email in ["ada@example.com", "nobody@example.com"] {
            let mut waits = Vec::new();
            for n in 0..10 {
                // Another node counts, too.
                let node = if n % 2 == 0 { &c } else { &there };
                assert_wrong(guess(node, email, "a wrong sentence", HOME).await);
                if n >= 4 {
                    let wait = wait_of(guess(&c, email, PASSWORD, HOME).await);
                    waits.push(wait);
                    f.clock.advance(Duration::from_millis(wait as u64));
                }
            }
            assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 900_000], "{email}");
            assert_wrong(guess(&c, email, "a wrong sentence", HOME).await);
            assert_eq!(wait_of(guess(&c, email, "a wrong sentence", HOME).await), 900_000, "locked again");
        }
        let throttled = guess(&c, "nobody@example.com", PASSWORD, HOME).await.unwrap_err();
        assert_eq!(throttled.to_string(), "too many attempts; try again in 900 s");
        assert_eq!(throttled.remedy(), Remedy::RetryLater);
        guess(&c, "ada@example.com", PASSWORD, HOME).await.unwrap();
        for _ in 0..4 {
            assert_wrong(guess(&c, "ada@example.com", "a wrong sentence", HOME).await);
        }
        guess(&c, "ada@example.com", PASSWORD, HOME).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn who_guesses_from_elsewhere_locks_the_owner_out_only_from_many_networks_and_for_a_while() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        with_password(&c, &t, "ada@example.com", "viewer").await;
        for _ in 0..5 {
            assert_wrong(guess(&c, "ada@example.com", "a wrong sentence", "198.51.100.1").await);
        }
        wait_of(guess(&c, "ada@example.com", PASSWORD, "198.51.100.1").await);
        guess(&c, "ada@example.com", PASSWORD, HOME).await.expect("from home");
        wait_of(guess(&c, "ada@example.com", PASSWORD, "198.51.100.1").await);
        for n in 5..100 {
            let address = format!("198.51.100.{}", 2 + n / 5);
            assert_wrong(guess(&c, "ada@example.com", "a wrong sentence", &address).await);
            f.clock.advance(Duration::from_secs(1));
        }
        let wait = wait_of(guess(&c, "ada@example.com", PASSWORD, HOME).await);
        assert_eq!(wait, 805_000, "until a quarter of an hour after the first");
        f.clock.advance(Duration::from_millis(wait as u64));
        guess(&c, "ada@example.com", PASSWORD, HOME).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_sign_in_to_one_tenant_forgives_nothing_of_another() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        with_password(&c, &t, "ada@example.com", "viewer").await;
        // Whoever runs another tenant can make an account of her address there.
        with_password(&c, &tenant("default"), "ada@example.com", "viewer").await;
        let own = async || {
            let client = Client { address: HOME, user_agent: "" };
            let tenant = tenant("default");
            let sign_in = SignIn {
                tenant: Some(&tenant),
                email: "ada@example.com",
                password: PASSWORD,
                code: None,
                client,
            };
            c.sign_in(sign_in).await.map(drop)
        };
        for _ in 0..5 {
            assert_wrong(guess(&c, "ada@example.com", "a wrong sentence", HOME).await);
            own().await.unwrap();
        }
        assert_eq!(wait_of(guess(&c, "ada@example.com", PASSWORD, HOME).await), 1_000);
        own().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_was_neither_right_nor_wrong_blocks_nothing() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        for _ in 0..4 {
            let _counted = c.begin_attempt(Some(&t), "ada@example.com", HOME).await.unwrap();
        }
        for _ in 0..3 {
            let attempt = c.begin_attempt(Some(&t), "ada@example.com", HOME).await.unwrap();
            let full = ControlError::Throttled { retry_after_ms: 2_000 };
            c.judged::<()>(&attempt, Err(full)).await.unwrap_err();
        }
        let _counted = c.begin_attempt(Some(&t), "ada@example.com", HOME).await.unwrap();
        let blocked = c.begin_attempt(Some(&t), "ada@example.com", HOME).await.err();
        assert!(matches!(blocked, Some(ControlError::Throttled { retry_after_ms: 1_000 })));
    })
    .await;
}

#[tokio::test]
async fn an_address_that_guesses_many_accounts_is_stopped() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        with_password(&c, &t, "ada@example.com", "viewer").await;
        for n in 0..30 {
            assert_wrong(guess(&c, &format!("u{n}@example.com"), PASSWORD, "2001:db8::1").await);
            if n % 10 == 0 {
                guess(&c, "ada@example.com", PASSWORD, "2001:db8::2").await.unwrap();
            }
            f.clock.advance(Duration::from_secs(1));
        }
        let wait = wait_of(guess(&c, "ada@example.com", PASSWORD, "2001:db8::3").await);
        assert_eq!(wait, 870_000, "until a quarter of an hour after the first");
        guess(&c, "ada@example.com", PASSWORD, "192.0.2.9").await.unwrap();
        f.clock.advance(Duration::from_millis(wait as u64));
        guess(&c, "ada@example.com", PASSWORD, "2001:db8::3").await.unwrap();
        f.clock.advance(Duration::from_secs(3_600));
        c.remove_ended().await.unwrap();
        assert_eq!(rows(&f, "sign_in_failures").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_once_are_no_more_than_guesses_one_after_the_other() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        with_password(&c, &t, "ada@example.com", "viewer").await;
        let there = control(&f).await;
        let guesses: Vec<_> = (0..20)
            .map(|n| {
                let node = if n % 2 == 0 { c.clone() } else { there.clone() };
                kit::spawn::spawn("guess", async move {
                    guess(&node, "ada@example.com", "a wrong sentence", "").await.unwrap_err()
                })
            })
            .collect();
        let mut tried = 0;
        for guess in guesses {
            match guess.await.unwrap() {
                ControlError::WrongCredentials => tried += 1,
                ControlError::Throttled { .. } => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(tried, 5);
    })
    .await;
}

#[tokio::test]
async fn codes_and_old_passwords_are_guessed_no_faster() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        c.enrol_second_factor(&t, &ada.id, "x").await.unwrap();
        for _ in 0..3 {
            assert_wrong(c.confirm_second_factor(&t, &ada.id, "000000").await);
        }
        for _ in 0..2 {
            assert_wrong(c.change_password(&t, &ada.id, Some("x"), "the next sentence", None).await);
        }
        let refused = c.disable_second_factor(&t, &ada.id, "000000").await;
        assert!(matches!(refused, Err(ControlError::Throttled { .. })));
    })
    .await;
}
