//! MySQL 8 signs people in by caching_sha2_password, which MariaDB does not know. This server does as MySQL's
//! documentation says ("Caching_sha2_password information") and accepts one password.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use probe::check::CheckStatus::{Healthy, Unhealthy};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{expect, run};

const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
const PASSWORD: &str = "swordfish-6";

async fn send(stream: &mut TcpStream, sequence: u8, content: &[u8]) {
    let mut packet = (content.len() as u32).to_le_bytes()[..3].to_vec();
    packet.push(sequence);
    packet.extend_from_slice(content);
    stream.write_all(&packet).await.expect("the scripted client keeps to the protocol");
}

async fn receive(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.expect("the scripted client keeps to the protocol");
    let mut content = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    stream.read_exact(&mut content).await.expect("the scripted client keeps to the protocol");
    (head[3], content)
}

fn greeting(plugin: &str) -> Vec<u8> {
    let mut packet = b"\x0a8.0.36\0\x01\0\0\0abcdefgh\0".to_vec();
    packet.extend_from_slice(&[0x08, 0xa2, CHARSET, 2, 0, 0x08, 0, 21]);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"ijklmnopqrst\0");
    packet.extend_from_slice(plugin.as_bytes());
    packet.push(0);
    packet
}

const CHARSET: u8 = 45;

fn scrambled(password: &str) -> Vec<u8> {
    let once = digest(&SHA256, password.as_bytes());
    let twice = digest(&SHA256, once.as_ref());
    let mixed = digest(&SHA256, &[twice.as_ref(), &NONCE[..]].concat());
    once.as_ref().iter().zip(mixed.as_ref()).map(|(a, b)| a ^ b).collect()
}

/// One connection: `greets` is the plugin of the greeting, `knows` whether the password is in the server's cache.
async fn serve(
    mut stream: TcpStream,
    greets: &str,
    knows: bool,
    key: &OaepPrivateDecryptingKey,
    public: &str,
) {
    send(&mut stream, 0, &greeting(greets)).await;
    let (mut sequence, answer) = receive(&mut stream).await;
    let after_user = 32
        + answer[32..].iter().position(|b| *b == 0).expect("the scripted client keeps to the protocol")
        + 1;
    let mut proof = answer[after_user + 1..][..answer[after_user] as usize].to_vec();
    if greets != "caching_sha2_password" {
        let request = [b"\xfecaching_sha2_password\0", &NONCE[..], &[0]].concat();
        send(&mut stream, sequence + 1, &request).await;
        (sequence, proof) = receive(&mut stream).await;
    }
    let mut good = proof == scrambled(PASSWORD);
    if knows && good {
        send(&mut stream, sequence + 1, &[1, 3]).await;
        sequence += 1;
    } else {
        send(&mut stream, sequence + 1, &[1, 4]).await;
        let (at, request) = receive(&mut stream).await;
        assert_eq!(request, [2], "without TLS the key is asked for");
        send(&mut stream, at + 1, &[&[1], public.as_bytes()].concat()).await;
        let (at, sealed) = receive(&mut stream).await;
        let mut plain = vec![0; key.key_size_bytes()];
        let plain = key
            .decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None)
            .expect("the scripted client keeps to the protocol");
        let password: Vec<u8> = plain.iter().zip(NONCE.iter().cycle()).map(|(a, b)| a ^ b).collect();
        good = password == [PASSWORD.as_bytes(), &[0]].concat();
        sequence = at;
    }
    if !good {
        send(&mut stream, sequence + 1, b"\xff\x15\x04#28000Access denied for user").await;
        return;
    }
    send(&mut stream, sequence + 1, &[0, 0, 0, 2, 0, 0, 0]).await;
    let (_, query) = receive(&mut stream).await;
    assert_eq!(query, b"\x03SELECT 1");
    let end = [0xfe, 0, 0, 2, 0];
    for (at, packet) in
        [&[1][..], b"\x03def\0\0\0\x011\0\x0c?\0\x01\0\0\0\x08\x81\0\0\0\0", &end, b"\x011", &end]
            .into_iter()
            .enumerate()
    {
        send(&mut stream, at as u8 + 1, packet).await;
    }
}

#[tokio::test]
async fn caching_sha2_password_works_from_the_cache_by_key_and_after_a_switch() {
    let private =
        PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("the scripted client keeps to the protocol");
    let der: PublicKeyX509Der =
        private.public_key().as_der().expect("the scripted client keeps to the protocol");
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let public = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let key = OaepPrivateDecryptingKey::new(private).expect("the scripted client keeps to the protocol");
    for (greets, knows, password, status) in [
        ("caching_sha2_password", true, PASSWORD, Healthy),
        ("caching_sha2_password", false, PASSWORD, Healthy),
        ("mysql_native_password", true, PASSWORD, Healthy),
        ("caching_sha2_password", true, "swordfish-9", Unhealthy),
    ] {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.expect("the scripted client keeps to the protocol");
        let target =
            format!("mysql://{}", listener.local_addr().expect("the scripted client keeps to the protocol"));
        let config = json!({"username": "u", "password": password, "sslMode": "disable"});
        let spec = json!({"type": "mysql", "target": target, "retries": 1, "config": config});
        let serving = async {
            serve(
                listener.accept().await.expect("the scripted client keeps to the protocol").0,
                greets,
                knows,
                &key,
                &public,
            )
            .await
        };
        let (result, ()) = tokio::join!(run(spec), serving);
        expect(&result, status, if status == Healthy { "" } else { "1045: Access denied" });
    }
}
