use std::collections::HashMap;
use std::io::Read as _;

use super::rewrite::{new_commit, new_tag};
use super::{Piece, Pieces};

fn id(digit: char) -> gix::ObjectId {
    gix::ObjectId::from_hex(digit.to_string().repeat(40).as_bytes()).unwrap()
}

#[test]
fn only_ids_and_signatures_change_in_a_commit() {
    let (old, parent, new, tree) = (id('1'), id('2'), id('3'), id('4'));
    let odd = b"author \xc9lan <e@x> 1 +0530\ncommitter C <c@x> -5 -0000\nencoding ISO-8859-1\nx-key a\n b\n";
    let signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n";
    let body = b"\nparent 2\n\n gpgsig in the message \xff\n\n";
    let data = [
        format!("tree {old}\nparent {parent}\nparent {old}\n").as_bytes(),
        odd,
        signature,
        body,
    ]
    .concat();
    let mut commits = HashMap::new();
    assert_eq!(new_commit(&data, old, &commits), None);
    commits.insert(parent, new);
    let expected = |tree| {
        let head = format!("tree {tree}\nparent {new}\nparent {old}\n");
        [head.as_bytes(), odd, body].concat()
    };
    assert_eq!(new_commit(&data, old, &commits), Some((expected(old), 1)));
    assert_eq!(new_commit(&data, tree, &commits), Some((expected(tree), 1)));
    // Whatever is in an object, nothing panics.
    for len in 0..data.len() {
        let _ = new_commit(&data[..len], tree, &commits);
        let _ = new_tag(&data[..len], tree);
    }
}

#[test]
fn a_tag_keeps_its_message_and_loses_its_signature() {
    let head = |id| format!("object {id}\ntype commit\ntag v1\ntagger T <t@x> 1 +0000\n");
    let message = "\nVersion 1\n\nnot -----BEGIN PGP SIGNATURE----- here\n";
    let signed = format!(
        "{}{message}-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n",
        head(id('1'))
    );
    let plain = format!("{}{message}", head(id('1')));
    let expected = format!("{}{message}", head(id('2'))).into_bytes();
    assert_eq!(new_tag(plain.as_bytes(), id('2')), (expected.clone(), false));
    assert_eq!(new_tag(signed.as_bytes(), id('2')), (expected, true));
}

#[test]
fn content_ends_only_when_all_of_it_came() {
    let read = |sent: Vec<Piece>, size| {
        let (sender, receiver) = crossbeam_channel::unbounded();
        sent.into_iter().for_each(|piece| sender.send(piece).unwrap());
        drop(sender);
        let mut pieces = Pieces {
            receiver,
            piece: Vec::new(),
            at: 0,
            left: size,
            ended: false,
        };
        let mut all = Vec::new();
        pieces.read_to_end(&mut all).map(|_| all).ok()
    };
    let bytes = || Piece::Bytes(b"abc".to_vec());
    assert_eq!(read(vec![bytes(), bytes(), Piece::End], 6), Some(b"abcabc".to_vec()));
    assert_eq!(read(vec![Piece::End], 0), Some(Vec::new()));
    // The loader failed, or had less or more.
    assert_eq!(read(vec![bytes()], 3), None);
    assert_eq!(read(vec![bytes(), Piece::End], 4), None);
    assert_eq!(read(vec![bytes(), Piece::End], 2), None);
}
