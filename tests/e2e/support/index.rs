//! A package index (the simple repository API, HTML) for wheels made by the tests.

use std::collections::BTreeMap;

use super::server::{Answer, Server};
use super::wheel::Made;

/// An index on the loopback interface.
pub(crate) struct Index {
    /// What serves it.
    pub(crate) server: Server,
}

impl Index {
    /// Serves these wheels, with their hashes and metadata.
    pub(crate) fn of(wheels: &[Made]) -> Self {
        let index = Self { server: Server::start() };
        index.publish(wheels);
        index
    }

    /// Replaces the pages of these wheels' projects.
    pub(crate) fn publish(&self, wheels: &[Made]) {
        let mut projects: BTreeMap<&str, String> = BTreeMap::new();
        for wheel in wheels {
            let page = projects.entry(&wheel.project).or_default();
            page.push_str(&format!(
                "<a href=\"/files/{0}#sha256={1}\">{0}</a><br>\n",
                wheel.file,
                wheel.sha256()
            ));
            self.server.put(&Self::path(wheel), Answer::file(&wheel.bytes));
            self.server.put(&format!("{}.metadata", Self::path(wheel)), Answer::file(&wheel.metadata));
        }
        for (project, links) in projects {
            let page = format!("<!DOCTYPE html><html><body>\n{links}</body></html>\n");
            self.server.put(&format!("/simple/{project}/"), Answer::html(&page));
        }
    }

    /// Path of a wheel on the server.
    pub(crate) fn path(wheel: &Made) -> String {
        format!("/files/{}", wheel.file)
    }

    /// For `--index-url`.
    pub(crate) fn url(&self) -> String {
        format!("{}/simple/", self.server.url())
    }
}
