//! An S3 service in this process, on a free port of the loopback interface, for tests in this process and others.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

/// How many requests of each kind arrived: `GET`, `LIST` (a GET that lists), `PUT`, `POST`, `HEAD`, `DELETE`.
pub type Requests = BTreeMap<String, u64>;

/// A running server with one empty bucket; stops when dropped.
pub struct S3Server {
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    /// The bucket that exists.
    pub bucket: String,
    /// The access key it accepts.
    pub access_key: String,
    /// The secret of that key.
    pub secret_key: String,
    requests: Arc<Mutex<Requests>>,
    root: tempfile::TempDir,
    service: s3s::service::S3Service,
    runtime: Option<tokio::runtime::Runtime>,
}

impl S3Server {
    /// Starts a server.
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let bucket = "bucket".to_owned();
        std::fs::create_dir(root.path().join(&bucket)).unwrap();
        let (access_key, secret_key) = ("AKIDTEST".to_owned(), "test/secret+key".to_owned());
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(&*access_key, &*secret_key));
        let service = builder.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Requests::new()));
        let counter = Arc::clone(&requests);
        let kept = service.clone();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, counter) = (service.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    let counted =
                        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                            let listing = request.uri().query().is_some_and(|q| q.contains("list-type="));
                            let kind = if listing { "LIST" } else { request.method().as_str() };
                            *counter.lock().unwrap().entry(kind.to_owned()).or_default() += 1;
                            hyper::service::Service::call(&service, request)
                        });
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(socket), counted)
                        .await;
                });
            }
        });
        Self {
            endpoint,
            bucket,
            access_key,
            secret_key,
            requests,
            root,
            service: kept,
            runtime: Some(runtime),
        }
    }

    /// The service itself and where it runs, for what stands in front of it.
    pub fn parts(&self) -> (s3s::service::S3Service, tokio::runtime::Handle) {
        (self.service.clone(), self.runtime.as_ref().unwrap().handle().clone())
    }

    /// What has arrived so far.
    pub fn requests(&self) -> Requests {
        self.requests.lock().unwrap().clone()
    }

    /// The number of all requests so far.
    pub fn total(&self) -> u64 {
        self.requests.lock().unwrap().values().sum()
    }

    /// Where the bucket's objects are as files.
    pub fn files(&self) -> PathBuf {
        self.root.path().join(&self.bucket)
    }

    /// The environment in which another process finds the credentials, and nothing of the user's.
    pub fn env(&self, empty_home: &Path) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("HOME", empty_home.to_str().unwrap().to_owned()),
        ]
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
