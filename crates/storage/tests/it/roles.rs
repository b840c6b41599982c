//! Roles are taken on once and kept per external id.

use offtake_storage::{AwsKeys, Network, Roles, StsSettings};
use secrecy::SecretString;

use crate::bed::{Server, allowing, ok};

const ARN: &str = "arn:aws:iam::123456789012:role/offtake";

#[tokio::test]
async fn keys_are_asked_for_once_per_role_and_external_id() {
    let body = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>\
                <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                <Expiration>2026-11-25T23:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let server = Server::start("127.0.0.1", &ok(body)).await;
    let network = Network::new(allowing(&["127.0.0.1"])).unwrap();
    let keys = AwsKeys {
        access_key: "AK".to_owned(),
        secret_key: SecretString::from("c4nary"),
        session_token: None,
    };
    let settings = StsSettings {
        keys,
        region: "eu-west-1".to_owned(),
        endpoint: Some(format!("http://{}", server.address)),
    };
    let roles = Roles::new(&network, settings);
    let asked = || server.heard().matches("POST / HTTP/1.1").count();

    assert_eq!(
        roles.keys(ARN, Some("org")).await.unwrap().access_key,
        "ASIA1"
    );
    roles.keys(ARN, Some("org")).await.unwrap();
    assert_eq!(asked(), 1, "the first keys are still good");

    roles.keys(ARN, Some("other org")).await.unwrap();
    assert_eq!(asked(), 2, "a role is not lent to another external id");

    roles.forget(ARN, Some("org"));
    roles.keys(ARN, Some("org")).await.unwrap();
    assert_eq!(asked(), 3);
    let heard = server.heard();
    assert!(heard.contains("/eu-west-1/sts/aws4_request"), "{heard}");
    assert!(!heard.contains("c4nary"), "{heard}");
}
