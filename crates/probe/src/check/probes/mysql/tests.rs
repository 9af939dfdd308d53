use super::*;

#[test]
fn a_greeting_is_read() {
    let mut packet = vec![10];
    packet.extend_from_slice(b"8.0.36\0");
    packet.extend_from_slice(&[1, 0, 0, 0]);
    packet.extend_from_slice(b"abcdefgh\0");
    packet.extend_from_slice(&[0x00, 0x8a, 45, 2, 0, 0x08, 0x00, 21]);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"ijklmnopqrst\0caching_sha2_password\0");
    let want = Greeting {
        version: "8.0.36".into(),
        capabilities: 0x0008_8a00,
        nonce: b"abcdefghijklmnopqrst".to_vec(),
        plugin: "caching_sha2_password".into(),
    };
    assert_eq!(Greeting::read(&packet), Some(want));
    for cut in 0..packet.len() {
        let _ = Greeting::read(&packet[..cut]);
    }
}

#[test]
fn a_row_gives_its_first_column() {
    let long = [&[0xfc, 44, 1][..], &[b'x'; 300]].concat();
    for (row, want) in [
        (&[1, b'7', 1, b'8'][..], Some("7".to_owned())),
        (&[NULL, 1, b'8'], None),
        (&long, Some("x".repeat(300))),
        (&[5, b'a'], None),
        (&[], None),
    ] {
        assert_eq!(column(row), want);
    }
}
