//! The stub application: a package of the standard library alone that answers on the service's port.

use crate::facts::{Command, Service};
use std::collections::BTreeMap;

/// The files of the application, by path in the context.
#[must_use]
pub fn files(service: &Service) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let program = service.cmd.as_ref().map(|c| c.program.as_str()).unwrap_or_default();
    if program.ends_with(".sh") {
        let start = if service.tech == "node" { "node server.js" } else { "python -m service" };
        files.insert(program.to_owned(), format!("#!/bin/sh\nexec {start}\n"));
    }
    if service.tech == "node" {
        files.insert("package.json".to_owned(), package_json(service));
        files.insert("package-lock.json".to_owned(), package_lock(service));
        files.insert("server.js".to_owned(), server_js(service));
        return files;
    }
    files.insert(
        "service/__init__.py".to_owned(),
        format!("\"\"\"{}: a stand-in service.\"\"\"\n", service.name),
    );
    files.insert("service/__main__.py".to_owned(), server(service));
    files.insert("service/data.json".to_owned(), format!("{{\"service\": \"{}\"}}\n", service.name));
    if program == "uvicorn" {
        files.insert("service/asgi.py".to_owned(), ASGI.to_owned());
    }
    files
}

/// The arguments of CMD or ENTRYPOINT, as JSON.
#[must_use]
pub fn arguments(command: &Command, service: &Service) -> String {
    let port = service.port();
    let words: Vec<&str> = match command.program.as_str() {
        "python" | "python3" => vec![&command.program, "-m", "service"],
        "uvicorn" => vec!["uvicorn", "service.asgi:app", "--host", "0.0.0.0", "--port", port],
        "streamlit" => vec!["streamlit", "run", "service/__main__.py"],
        "npm" => vec!["npm", "start"],
        "node" => vec!["node", "server.js"],
        script if script.ends_with(".sh") => return format!("[\"./{script}\"]"),
        other => vec![other],
    };
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn server(service: &Service) -> String {
    format!(
        r#""""Answers every GET with the package's data."""

import http.server
import importlib.resources
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = importlib.resources.files(__package__ or "service").joinpath("data.json").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(os.environ.get("SERVICE_PORT", "{}"))
    http.server.ThreadingHTTPServer(("", port), Handler).serve_forever()
"#,
        service.port()
    )
}

const ASGI: &str = r#""""The same answer, for a server that speaks ASGI."""

import importlib.resources


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = importlib.resources.files("service").joinpath("data.json").read_bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"#;

fn package_json(service: &Service) -> String {
    format!(
        "{{\n  \"name\": \"{}\",\n  \"version\": \"1.0.0\",\n  \"private\": true,\n  \"scripts\": {{\n    \"build\": \"node --check server.js\",\n    \"start\": \"node server.js\"\n  }}\n}}\n",
        service.slug()
    )
}

fn package_lock(service: &Service) -> String {
    format!(
        "{{\n  \"name\": \"{0}\",\n  \"version\": \"1.0.0\",\n  \"lockfileVersion\": 3,\n  \"packages\": {{\n    \"\": {{\n      \"name\": \"{0}\",\n      \"version\": \"1.0.0\"\n    }}\n  }}\n}}\n",
        service.slug()
    )
}

fn server_js(service: &Service) -> String {
    format!(
        "const http = require('node:http');\n\nhttp\n  .createServer((request, response) => response.end(JSON.stringify({{ service: '{}' }})))\n  .listen(process.env.SERVICE_PORT || {});\n",
        service.name,
        service.port()
    )
}
