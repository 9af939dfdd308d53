use crate::totp;

use super::*;

struct Phone {
    secret: Vec<u8>,
}

impl Phone {
    /// Reads the secret as an authenticator does, from base32.
    fn of(enrolment: &Enrolment) -> Self {
        let mut bits = 0u64;
        let (mut count, mut secret) = (0, Vec::new());
        for c in enrolment.secret.expose().bytes() {
            let value = if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' };
            bits = bits << 5 | u64::from(value);
            count += 5;
            if count >= 8 {
                count -= 8;
                secret.push((bits >> count) as u8);
            }
        }
        Self { secret }
    }

    fn code(&self, f: &Fixture, off: i64) -> String {
        totp::code(&self.secret, totp::step_at(kit::Clock::now_ms(&f.clock)) + off)
    }
}

async fn enrolled(f: &Fixture, c: &Control, user: &User) -> (Phone, Vec<Secret>) {
    let phone = Phone::of(&c.enrol_second_factor(&user.tenant, &user.id, "Bellwether").await.unwrap());
    let codes = c.confirm_second_factor(&user.tenant, &user.id, &phone.code(f, 0)).await.unwrap();
    f.clock.advance(Duration::from_secs(30));
    (phone, codes)
}

async fn sign_in(c: &Control, user: &User, code: Option<&str>) -> Result<Session, ControlError> {
    let client = Client::default();
    c.sign_in(SignIn { tenant: Some(&user.tenant), email: &user.email, password: PASSWORD, code, client })
        .await
}

#[tokio::test]
async fn an_authenticator_counts_once_a_code_of_it_was_given() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let first = c.enrol_second_factor(&t, &ada.id, "Bellwether").await.unwrap();
        assert!(first.uri.expose().starts_with("otpauth://totp/Bellwether:ada@example.com?secret="));
        assert!(first.uri.expose().contains(first.secret.expose()) && first.secret.expose().len() == 32);
        assert!(!format!("{first:?}").contains(first.secret.expose()));
        assert!(!stored_texts(&f).await.contains(first.secret.expose()));
        sign_in(&c, &ada, None).await.unwrap();
        assert_eq!(c.second_factor(&t, &ada.id).await.unwrap(), None);

        let phone = Phone::of(&c.enrol_second_factor(&t, &ada.id, "Bellwether").await.unwrap());
        assert_wrong(c.confirm_second_factor(&t, &ada.id, &Phone::of(&first).code(&f, 0)).await);
        assert_wrong(c.confirm_second_factor(&t, &ada.id, "12345").await);
        let codes = c.confirm_second_factor(&t, &ada.id, &phone.code(&f, 0)).await.unwrap();
        assert_eq!(codes.len(), 10);
        let state = c.second_factor(&t, &ada.id).await.unwrap().unwrap();
        assert_eq!((state.confirmed_at, state.recovery_codes), (NOW, 10));
        assert!(
            c.member_facts(&t, &c.users(&t, None, 100).await.unwrap()).await.unwrap()[&ada.id].second_factor
        );
        assert_taken(c.enrol_second_factor(&t, &ada.id, "x").await);
        assert!(c.confirm_second_factor(&t, &ada.id, &phone.code(&f, 1)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn signing_in_needs_a_code_that_was_not_used() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let (phone, _) = enrolled(&f, &c, &ada).await;
        for _ in 0..20 {
            assert!(
                matches!(sign_in(&c, &ada, None).await, Err(ControlError::CodeNeeded)),
                "asking is no failure"
            );
        }
        assert_wrong(sign_in(&c, &ada, Some("000000")).await);
        assert_wrong(sign_in(&c, &ada, Some(&phone.code(&f, -1))).await);
        let code = phone.code(&f, 0);
        let there = Control { shared: c.shared.clone() };
        let (x, y) = tokio::join!(sign_in(&c, &ada, Some(&code)), sign_in(&there, &ada, Some(&code)));
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1, "one of two at once");
        let session = x.or(y).unwrap();
        assert_eq!(c.sessions(&t, &ada.id).await.unwrap()[0].method, SignInMethod::PasswordAndCode);
        assert_eq!(session.user.id, ada.id);
        assert_wrong(sign_in(&c, &ada, Some(&code)).await);
        let next = phone.code(&f, 1);
        sign_in(&c, &ada, Some(&format!(" {next} "))).await.unwrap();
        assert_wrong(sign_in(&c, &ada, Some(&next)).await);
        f.clock.advance(Duration::from_secs(90));
        let other = SignIn {
            tenant: Some(&t),
            email: &ada.email,
            password: "not the password",
            code: Some(&phone.code(&f, 0)),
            client: CLIENT,
        };
        assert_wrong(c.sign_in(other).await);
    })
    .await;
}

#[tokio::test]
async fn recovery_codes_work_once_and_can_be_replaced() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let bob = with_password(&c, &t, "bob@example.com", "viewer").await;
        let (phone, codes) = enrolled(&f, &c, &ada).await;
        let (_, others) = enrolled(&f, &c, &bob).await;
        let texts = stored_texts(&f).await;
        assert!(codes.iter().all(|code| !texts.contains(code.expose())));
        assert_wrong(sign_in(&c, &ada, Some(others[0].expose())).await);
        let code = codes[0].expose().to_uppercase();
        let (x, y) = tokio::join!(sign_in(&c, &ada, Some(&code)), sign_in(&c, &ada, Some(&code)));
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1, "one of two at once");
        assert_eq!(c.second_factor(&t, &ada.id).await.unwrap().unwrap().recovery_codes, 9);
        assert_wrong(c.new_recovery_codes(&t, &ada.id, "000000").await);
        let new = c.new_recovery_codes(&t, &ada.id, &phone.code(&f, 0)).await.unwrap();
        assert_wrong(sign_in(&c, &ada, Some(codes[1].expose())).await);
        sign_in(&c, &ada, Some(new[0].expose())).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn it_is_taken_away_with_a_code_or_by_whoever_manages_members() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = asking(&c, &t, "boss@example.com", "admin").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let (phone, _) = enrolled(&f, &c, &ada).await;
        assert_wrong(c.disable_second_factor(&t, &ada.id, "000000").await);
        c.disable_second_factor(&t, &ada.id, &phone.code(&f, 0)).await.unwrap();
        sign_in(&c, &ada, None).await.unwrap();
        assert_eq!((rows(&f, "second_factors").await, rows(&f, "recovery_codes").await), (0, 0));

        let (_, codes) = enrolled(&f, &c, &ada).await;
        c.disable_second_factor(&t, &ada.id, codes[3].expose()).await.unwrap();
        enrolled(&f, &c, &ada).await;
        let session = session_of(&c, &ada).await;
        c.reset_second_factor(&t, &by, &ada.id).await.unwrap();
        assert!(c.authenticate_session(session.token.expose()).await.is_err());
        sign_in(&c, &ada, None).await.unwrap();

        c.enrol_second_factor(&t, &ada.id, "x").await.unwrap();
        f.clock.advance(2 * DAY);
        c.remove_ended().await.unwrap();
        assert_eq!(rows(&f, "second_factors").await, 0, "one never confirmed is forgotten");
    })
    .await;
}

#[tokio::test]
async fn a_code_is_taken_as_the_authenticator_shows_it_and_asking_for_it_blocks_nothing() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let (phone, codes) = enrolled(&f, &c, &ada).await;
        for _ in 0..4 {
            assert_wrong(sign_in(&c, &ada, Some("000 000")).await);
        }
        for _ in 0..3 {
            let asked = sign_in(&c, &ada, None).await;
            assert!(matches!(asked, Err(ControlError::CodeNeeded)), "{asked:?}");
        }
        let code = phone.code(&f, 0);
        sign_in(&c, &ada, Some(&format!(" {} {}", &code[..3], &code[3..]))).await.unwrap();
        sign_in(&c, &ada, Some(codes[0].expose())).await.unwrap();
    })
    .await;
}
