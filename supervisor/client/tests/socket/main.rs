//! The client over a socket, against a fake supervisor: what goes over the wire, and what a broken connection does.
//!
//! `both!` runs a test's client side twice, with the blocking and with the async client.

mod breaks;
mod fake;
mod garbage;
mod ordinary;

/// Runs the same client side with either client. In the body, `step!(client.call())` waits for a call,
/// `answer!(pending)` for an answer under way, `next!(pushes)` for a push.
macro_rules! both {
    ($name:ident, $script:expr, |$client:ident, $options:ident| $body:block) => {
        mod $name {
            #[allow(unused_imports, reason = "not every test needs all of it")]
            use super::*;

            #[test]
            fn blocking() {
                let fake = Fake::start($script);
                let $options = options();
                #[allow(unused_macros, reason = "not every test waits")]
                macro_rules! step {
                    ($call:expr) => {
                        $call
                    };
                }
                #[allow(unused_macros, reason = "not every test has one")]
                macro_rules! answer {
                    ($pending:expr) => {
                        $pending.wait()
                    };
                }
                #[allow(unused_macros, reason = "not every test follows")]
                macro_rules! next {
                    ($pushes:expr) => {
                        $pushes.wait_next()
                    };
                }
                {
                    let $client =
                        croupier_client::blocking::Client::connect_with(&fake.path, $options.clone())
                            .expect("connect");
                    $body
                }
                fake.end();
            }

            #[test]
            fn of_tasks() {
                let fake = Fake::start($script);
                let $options = options();
                #[allow(unused_macros, reason = "not every test waits")]
                macro_rules! step {
                    ($call:expr) => {
                        $call.await
                    };
                }
                #[allow(unused_macros, reason = "not every test has one")]
                macro_rules! answer {
                    ($pending:expr) => {
                        $pending.await
                    };
                }
                #[allow(unused_macros, reason = "not every test follows")]
                macro_rules! next {
                    ($pushes:expr) => {
                        $pushes.next().await
                    };
                }
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let $client = croupier_client::Client::connect_with(&fake.path, $options.clone())
                        .await
                        .expect("connect");
                    $body
                });
                drop(runtime);
                fake.end();
            }
        }
    };
}

pub(crate) use both;
