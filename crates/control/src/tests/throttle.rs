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

#[tokio::test]
async fn an_account_waits_longer_each_time_and_then_is_locked_whether_it_exists_or_not() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let there = control(&f).await;
        with_password(&c, &t, "ada@example.com", "viewer").await;
        for email in ["ada@example.com", "nobody@example.com"] {
            let mut waits = Vec::new();
            for n in 0..10 {
                // Another node, another address: it is the account that counts.
                let node = if n % 2 == 0 { &c } else { &there };
                assert_wrong(guess(node, email, "a wrong sentence", &format!("192.0.2.{n}")).await);
                if n >= 4 {
                    let wait = wait_of(guess(&c, email, PASSWORD, "").await);
                    waits.push(wait);
                    f.clock.advance(Duration::from_millis(wait as u64));
                }
            }
            assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 900_000], "{email}");
            assert_wrong(guess(&c, email, "a wrong sentence", "").await);
            assert_eq!(wait_of(guess(&c, email, "a wrong sentence", "").await), 900_000, "locked again");
        }
        let throttled = guess(&c, "nobody@example.com", PASSWORD, "").await.unwrap_err();
        assert_eq!(throttled.to_string(), "too many attempts; try again in 900 s");
        assert_eq!(throttled.remedy(), Remedy::RetryLater);
        guess(&c, "ada@example.com", PASSWORD, "").await.unwrap();
        for _ in 0..4 {
            assert_wrong(guess(&c, "ada@example.com", "a wrong sentence", "").await);
        }
        guess(&c, "ada@example.com", PASSWORD, "").await.unwrap();
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
