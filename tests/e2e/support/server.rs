//! A small HTTP server on the loopback interface, which can also misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// How one path is answered.
#[derive(Clone)]
pub(crate) struct Answer {
    body: Arc<[u8]>,
    content_type: &'static str,
    manner: Manner,
}

/// Well or badly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should be.
    Well,
    /// Accepts the request and never answers.
    Hangs,
    /// Announces everything and closes after half of it.
    BreaksOff,
}

impl Answer {
    /// A page.
    pub(crate) fn html(text: &str) -> Self {
        Self { body: text.as_bytes().into(), content_type: "text/html", manner: Manner::Well }
    }

    /// A file.
    pub(crate) fn file(bytes: &[u8]) -> Self {
        Self { body: bytes.into(), content_type: "application/octet-stream", manner: Manner::Well }
    }
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, Answer>,
    requests: Vec<String>,
    /// `user:password` that every request must have.
    login: Option<String>,
}

/// The server. Its thread ends with the process.
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    address: String,
}

impl Server {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // A client that goes away is its own business.
                    let _ = serve(stream, &state);
                });
            }
        });
        Self { state, address }
    }

    /// `http://127.0.0.1:port`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers a path from now on.
    pub(crate) fn put(&self, path: &str, answer: Answer) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// From now on, whoever asks must log in as this `user:password`.
    pub(crate) fn lock(&self, login: &str) {
        self.state.lock().unwrap().login = Some(login.to_owned());
    }

    /// From now on there is nothing at this path.
    pub(crate) fn remove(&self, path: &str) {
        self.state.lock().unwrap().answers.remove(path);
    }

    /// Changes the manner of every path that ends like this.
    pub(crate) fn all(&self, suffix: &str, manner: Manner) {
        for (path, answer) in &mut self.state.lock().unwrap().answers {
            if path.ends_with(suffix) {
                answer.manner = manner;
            }
        }
    }

    /// `METHOD path` of the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
        let path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
        let method = method.to_owned();
        let mut login = None;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            let given = header.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            login = given.map(|(_, value)| value.trim().to_owned()).or(login);
        }
        let wanted = state.lock().unwrap().login.as_ref().map(|it| format!("Basic {}", STANDARD.encode(it)));
        if wanted.is_some() && wanted != login {
            state.lock().unwrap().requests.push(format!("{method} {path} unauthorized"));
            write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
            )?;
            continue;
        }
        let answer = {
            let mut state = state.lock().unwrap();
            state.requests.push(format!("{method} {path}"));
            state.answers.get(&path).cloned()
        };
        let Some(answer) = answer else {
            write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        };
        if answer.manner == Manner::Hangs {
            std::thread::sleep(Duration::from_secs(600));
            return Ok(());
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nETag: \"{}\"\r\nLast-Modified: Wed, 01 Nov 2023 00:00:00 GMT\r\n\r\n",
            answer.content_type,
            answer.body.len(),
            hex::encode(Sha256::digest(&answer.body)),
        )?;
        if method != "HEAD" {
            if answer.manner == Manner::BreaksOff {
                stream.write_all(&answer.body[..answer.body.len() / 2])?;
                return stream.shutdown(std::net::Shutdown::Both);
            }
            stream.write_all(&answer.body)?;
        }
        stream.flush()?;
    }
}
