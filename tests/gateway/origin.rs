//! A provider at the level of bytes: the test sees requests as they came and writes the answers.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) struct Origin {
    listener: TcpListener,
    pub(crate) url: String,
}

impl Origin {
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// The next request with its body, which must state its length, and the stream to answer on.
    pub(crate) async fn request(&self) -> (String, TcpStream) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut seen = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&seen);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= length(head)
            {
                return (text.into_owned(), stream);
            }
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "the request broke off");
        }
    }

    /// Answers the next request with these bytes.
    pub(crate) async fn answer(&self, answer: &str) -> String {
        let (seen, mut stream) = self.request().await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        seen
    }
}

fn length(head: &str) -> usize {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, length)| length.parse().unwrap())
}
