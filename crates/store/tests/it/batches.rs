//! What the port of batches promises, held by the store.

use offtake_ports::testing::ingest::batches;

use crate::bed::Bed;

#[tokio::test]
async fn the_store_keeps_batches() {
    let dir = Bed::new();
    batches::keeps_batches(&dir.store().await).await;
}
