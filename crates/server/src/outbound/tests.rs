use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const NONE: Vec<Range> = Vec::new();

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a name")
}

#[test]
fn addresses_are_public_private_or_never_reached() {
    for (address, want) in [
        ("1.1.1.1", Class::Public),
        ("172.32.0.1", Class::Public),
        ("2606:4700::1111", Class::Public),
        ("::ffff:1.1.1.1", Class::Public),
        ("64:ff9b::1.1.1.1", Class::Public),
        ("127.0.0.1", Class::Private),
        ("0.0.0.0", Class::Private),
        ("10.0.0.1", Class::Private),
        ("172.31.255.255", Class::Private),
        ("192.168.1.1", Class::Private),
        ("100.64.0.1", Class::Private),
        ("198.18.0.1", Class::Private),
        ("::1", Class::Private),
        ("::", Class::Private),
        ("::127.0.0.1", Class::Private),
        ("::ffff:10.0.0.1", Class::Private),
        ("64:ff9b::10.0.0.1", Class::Private),
        ("64:ff9b:1::1", Class::Private),
        ("2002:7f00:1::", Class::Private),
        ("2001:0:1::1", Class::Private),
        ("fc00::1", Class::Private),
        ("fd12:3456::1", Class::Private),
        ("fec0::1", Class::Private),
        ("2001:db8::1", Class::Private),
        ("169.254.169.254", Class::Never),
        ("169.254.0.1", Class::Never),
        ("::ffff:169.254.169.254", Class::Never),
        ("64:ff9b::169.254.169.254", Class::Never),
        ("2002:a9fe:a9fe::", Class::Never),
        ("fe80::1", Class::Never),
        ("fd00:ec2::254", Class::Never),
        ("fd20:ce::254", Class::Never),
        ("168.63.129.16", Class::Never),
        ("100.100.100.200", Class::Never),
        ("192.0.0.192", Class::Never),
        ("224.0.0.1", Class::Never),
        ("255.255.255.255", Class::Never),
        ("ff02::1", Class::Never),
    ] {
        assert_eq!(class_of(address.parse().expect("an address")), want, "{address}");
    }
}

#[test]
fn private_addresses_are_for_the_operators_tenants_and_in_allowed_ranges() {
    let ranges: Vec<Range> =
        ["10.1.0.0/16", "fd12::/16", "127.0.0.2"].map(|r| r.parse().expect("a range")).into();
    for (name, address, want) in [
        ("default", "127.0.0.1", true),
        ("platform", "10.0.0.1", true),
        ("default", "169.254.169.254", false),
        ("shop", "1.1.1.1", true),
        ("shop", "127.0.0.1", false),
        ("shop", "127.0.0.2", true),
        ("shop", "10.1.2.3", true),
        ("shop", "::ffff:10.1.2.3", true),
        ("shop", "10.2.0.0", false),
        ("shop", "fd12::1", true),
        ("shop", "fd13::1", false),
    ] {
        let policy = Policy::of(&tenant(name), ranges.clone());
        assert_eq!(policy.judge(address.parse().expect("an address")).is_ok(), want, "{name} {address}");
    }
    let all: Range = "0.0.0.0/0".parse().expect("a range");
    let policy = Policy::of(&tenant("shop"), vec![all]);
    assert!(policy.judge("192.168.0.1".parse().expect("an address")).is_ok());
    assert!(policy.judge("169.254.169.254".parse().expect("an address")).is_err(), "never is never");
    for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "x"] {
        assert!(bad.parse::<Range>().is_err(), "{bad}");
    }
}

#[test]
fn urls_are_judged_before_they_are_asked() {
    let policy = Policy::of(&tenant("shop"), NONE);
    for (url, want) in [
        ("http://example.com/x", true),
        ("https://1.1.1.1", true),
        ("http://127.0.0.1:4318/v1/traces", false),
        ("http://2130706433/", false),
        ("http://0x7f.1/", false),
        ("http://[::ffff:169.254.169.254]/", false),
        ("http://me:secret@example.com/", false),
        ("ftp://example.com/", false),
        ("file:///etc/passwd", false),
    ] {
        let judged = policy.judge_url(&Url::parse(url).expect("a URL"));
        assert_eq!(judged.is_ok(), want, "{url}");
        assert!(!judged.is_err_and(|error| error.to_string().contains("secret")), "{url}");
    }
}

/// A server that answers every connection with these bytes; its port.
async fn answering(answer: String) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    kit::spawn::spawn("test server", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

async fn get(outbound: &Outbound, url: &str) -> Result<u16, String> {
    let request = outbound.request(Method::GET, url).map_err(|error| error.to_string())?;
    let answer = request.send().await.map_err(|error| causes(&error))?;
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn a_name_is_judged_by_the_address_that_is_connected_to() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let port = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into()).await;
    let url = format!("http://localhost:{port}/");
    for (name, want) in [("default", true), ("shop", false)] {
        let policy = Policy::of(&tenant(name), NONE);
        let outbound = Outbound::new(policy, Redirects::Judged, Duration::from_secs(5)).expect("a client");
        let got = get(&outbound, &url).await;
        assert_eq!(got.is_ok(), want, "{name}: {got:?}");
        assert!(want || got.is_err_and(|error| error.contains("private address")));
    }
}

#[tokio::test]
async fn a_redirect_is_judged_or_not_followed() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let answer = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n";
    let url = format!("http://127.0.0.1:{}/", answering(answer.into()).await);
    let outbound = |redirects| {
        let policy = Policy::of(&tenant("default"), NONE);
        Outbound::new(policy, redirects, Duration::from_secs(5)).expect("a client")
    };
    assert_eq!(get(&outbound(Redirects::Refused), &url).await, Ok(302));
    let judged = get(&outbound(Redirects::Judged), &url).await;
    assert!(judged.is_err_and(|error| error.contains("never reached")));
}
