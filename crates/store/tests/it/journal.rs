use offtake_ports::testing::journal::conforms;

use crate::bed::Bed;

#[tokio::test]
async fn the_store_keeps_every_promise_of_queue_and_journal() {
    conforms(&|| Box::new(Bed::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_them_on_several_threads() {
    conforms(&|| Box::new(Bed::new())).await;
}
