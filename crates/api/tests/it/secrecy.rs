//! Secrets never come out: not in answers, not in the database's files.

use serde_json::json;

use crate::connections::{S3_SECRET, s3};
use crate::world::World;

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let world = World::new().await;
    let made = world.post("/connections", &s3()).await;
    let id = made.id();
    let target = json!({
        "name": "t", "baseConnectionId": id,
        "connectionSpec": {"id": "4fce964d-3f37-408f-9778-e597338a21ee", "version": "1.0"},
        "params": {"bucketName": "bucket", "path": "p", "compression": "NONE", "datasetFileType": "JSON"}
    });
    let answers = [
        world.post("/targetConnections", &target).await,
        world.get(&format!("/connections/{id}")).await,
        world.get("/connections").await,
        world.get("/targetConnections").await,
        world
            .get(&format!(
                "/connections?property=auth.params.s3SecretKey=={S3_SECRET}"
            ))
            .await,
        made,
    ];
    for answer in answers {
        assert!(!answer.text.contains(S3_SECRET), "{}", answer.text);
    }
    let found = world
        .get(&format!(
            "/connections?property=auth.params.s3SecretKey=={S3_SECRET}"
        ))
        .await;
    assert!(
        found.ids().is_empty(),
        "a filter must not tell whether a secret was guessed"
    );
}

#[tokio::test]
async fn no_file_of_the_store_holds_a_secret() {
    let world = World::new().await;
    let secret = secrecy::ExposeSecret::expose_secret(&world.first.secret).to_owned();
    world.post("/connections", &s3()).await.id();
    for entry in std::fs::read_dir(world.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        for canary in [S3_SECRET, secret.as_str(), world.token.as_str()] {
            let found = bytes
                .windows(canary.len())
                .any(|window| window == canary.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}
