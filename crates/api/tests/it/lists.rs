//! Lists: pages, counts, filters, order (contract, 4.2 and 4.3).

use std::time::Duration;

use serde_json::json;

use crate::world::World;

/// Connections named c0, c1, … made a second apart; ids newest first.
async fn connections(world: &World, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for ordinal in 0..count {
        world.clock.advance(Duration::from_secs(1));
        let body = json!({"name": format!("c{ordinal}")});
        ids.push(world.post("/connections", &body).await.id());
    }
    ids.reverse();
    ids
}

/// Follows the links the way a known client does: the token is what stands after the first `=`.
async fn walk(world: &World, first: &str) -> Vec<Vec<String>> {
    let (path, query) = first.split_once('?').unwrap();
    let mut pages = Vec::new();
    let mut answer = world.get(first).await;
    for _ in 0..20 {
        pages.push(answer.ids());
        let Some(href) = answer.body["_links"]["next"]["href"].as_str() else {
            assert_eq!(answer.body["_links"], json!({}));
            return pages;
        };
        assert!(
            href.starts_with(&format!("{path}?continuationToken=")),
            "{href}"
        );
        let token = href.split('=').nth(1).unwrap();
        assert_eq!(href.matches('=').count(), 1);
        answer = world
            .get(&format!("{path}?continuationToken={token}&{query}"))
            .await;
    }
    panic!("the list never ends");
}

#[tokio::test]
async fn a_list_is_walked_newest_first_without_gap_or_repeat() {
    let world = World::new().await;
    let ids = connections(&world, 7).await;
    let pages = walk(&world, "/connections?limit=3").await;
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(pages.concat(), ids);
}

#[tokio::test]
async fn a_last_page_that_is_full_has_no_link() {
    let world = World::new().await;
    connections(&world, 4).await;
    let pages = walk(&world, "/connections?limit=2").await;
    assert_eq!(pages.len(), 2);
}

#[tokio::test]
async fn rows_made_in_the_same_millisecond_are_walked_too() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for ordinal in 0..5 {
        ids.push(
            world
                .post("/connections", &json!({"name": format!("c{ordinal}")}))
                .await
                .id(),
        );
    }
    let mut walked = walk(&world, "/connections?limit=2").await.concat();
    walked.sort();
    ids.sort();
    assert_eq!(walked, ids);
}

#[tokio::test]
async fn a_filter_stays_with_its_list() {
    let world = World::new().await;
    let ids = connections(&world, 7).await;
    let filter = "property=name==c1,c3,c5,c6";
    let pages = walk(&world, &format!("/connections?limit=2&{filter}")).await;
    let expected = [&ids[0], &ids[1], &ids[3], &ids[5]];
    assert_eq!(pages.concat().iter().collect::<Vec<_>>(), expected);
    let first = world.get(&format!("/connections?limit=2&{filter}")).await;
    let href = first.body["_links"]["next"]["href"].as_str().unwrap();
    let other = format!("{href}&limit=2&property=name==c0");
    assert_eq!(
        world.get(&other).await.ids(),
        [ids[3].clone(), ids[5].clone()]
    );
}

#[tokio::test]
async fn the_documented_filters_work() {
    let world = World::new().await;
    world.flow().await;
    for (collection, property, expected) in [
        (
            "flows",
            "inheritedAttributes.targetConnections[].data.outputType==DATASET_EXPORT",
            1,
        ),
        (
            "flows",
            "inheritedAttributes.properties.isDestinationFlow==true",
            1,
        ),
        (
            "flows",
            "inheritedAttributes.properties.isDestinationFlow==false",
            0,
        ),
        ("flows", "state==Enabled", 1),
        ("flows", "state!=enabled", 0),
        ("flows", "scheduleParams.interval>=3", 1),
        ("flows", "scheduleParams.interval<3", 0),
        ("flows", "lastRunDetails", 0),
        ("flows", "name", 1),
        (
            "connections",
            "connectionSpec.id==10440537-2a7b-4583-ac39-ed38d4b848e8",
            1,
        ),
        ("sourceConnections", "name==\"source\"", 1),
        ("targetConnections", "params.compression=GZIP", 1),
        ("targetConnections", "createdAt>=1&property=name==nobody", 0),
    ] {
        let answer = world
            .get(&format!("/{collection}?property={property}"))
            .await;
        assert_eq!(answer.ids().len(), expected, "{collection} {property}");
        let count = world
            .get(&format!("/{collection}?count=true&property={property}"))
            .await;
        assert_eq!(
            count.body,
            json!({"count": expected}),
            "{collection} {property}"
        );
    }
}

#[tokio::test]
async fn a_bad_filter_is_refused_with_its_documented_number() {
    let world = World::new().await;
    world.flow().await;
    for (property, number) in [
        ("nonsense==1", "1449"),
        ("name~x", "1450"),
        ("name==", "1453"),
        ("createdAt<=1,2", "1443"),
        ("state>=enabled", "1448"),
        ("createdAt>=yesterday", "1452"),
    ] {
        let answer = world.get(&format!("/flows?property={property}")).await;
        assert_eq!(answer.status, 400, "{property}");
        let kind = format!("http://ns.adobe.com/aep/errors/FLOW-{number}-400");
        assert_eq!(answer.body["type"], kind, "{property}");
    }
}

#[tokio::test]
async fn count_is_accepted_in_any_case_and_beside_limit() {
    let world = World::new().await;
    connections(&world, 3).await;
    for query in ["count=true", "count=True&limit=20", "count=TRUE&limit=1"] {
        let answer = world.get(&format!("/connections?{query}")).await;
        assert_eq!(answer.body, json!({"count": 3}), "{query}");
    }
    assert_eq!(
        world
            .get("/connections?count=False&limit=20")
            .await
            .ids()
            .len(),
        3
    );
    assert_eq!(world.get("/connections?count=maybe").await.status, 400);
}

#[tokio::test]
async fn a_list_can_be_ordered_and_walked_in_that_order() {
    let world = World::new().await;
    let newest_first = connections(&world, 5).await;
    let oldest_first: Vec<String> = newest_first.iter().rev().cloned().collect();
    for (order, expected) in [
        ("-createdAt", &newest_first),
        ("createdAt", &oldest_first),
        ("%2BcreatedAt", &oldest_first),
        ("name", &oldest_first),
        ("-name", &newest_first),
        ("-name,createdAt", &newest_first),
    ] {
        let pages = walk(&world, &format!("/connections?limit=2&orderby={order}")).await;
        assert_eq!(&pages.concat(), expected, "{order}");
        assert_eq!(pages.len(), 3, "{order}");
    }
    for (order, number) in [
        ("nonsense", "1433"),
        ("name desc", "1433"),
        ("-", "1433"),
        ("name,", "1433"),
        ("--name", "1432"),
        ("*name", "1432"),
        ("createdAt,~name", "1432"),
    ] {
        let answer = world.get(&format!("/connections?orderby={order}")).await;
        let kind = format!("http://ns.adobe.com/aep/errors/FLOW-{number}-400");
        assert_eq!(
            (answer.status, &answer.body["type"]),
            (400, &json!(kind)),
            "{order}"
        );
    }
}

#[tokio::test]
async fn a_token_of_another_list_or_of_nobody_is_refused() {
    let world = World::new().await;
    connections(&world, 3).await;
    let first = world.get("/connections?limit=1").await;
    let href = first.body["_links"]["next"]["href"].as_str().unwrap();
    let token = href.split('=').nth(1).unwrap();
    for path in [
        format!("/flows?continuationToken={token}"),
        "/connections?continuationToken=nonsense!".to_owned(),
        "/connections?continuationToken=e30".to_owned(),
        format!("/connections?continuationToken={}", "A".repeat(7000)),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(
            answer.body["report"]["additionalContext"]["code"],
            "PAGE_INVALID"
        );
    }
}

#[tokio::test]
async fn a_limit_outside_1_to_100_is_refused_and_20_is_the_default() {
    let world = World::new().await;
    connections(&world, 21).await;
    assert_eq!(world.get("/connections").await.ids().len(), 20);
    for limit in ["0", "101", "-1", "x", "", "1.5"] {
        assert_eq!(
            world
                .get(&format!("/connections?limit={limit}"))
                .await
                .status,
            400,
            "{limit}"
        );
    }
    assert_eq!(world.get("/connections?limit=100").await.ids().len(), 21);
}

#[tokio::test]
async fn every_empty_list_has_items_and_links() {
    let world = World::new().await;
    for collection in [
        "connections",
        "sourceConnections",
        "targetConnections",
        "flows",
        "runs",
    ] {
        let answer = world.get(&format!("/{collection}")).await;
        assert_eq!(
            answer.body,
            json!({"items": [], "_links": {}}),
            "{collection}"
        );
        let again = world.get(&format!("/{collection}/?nothing=known")).await;
        assert_eq!(again.status, 200);
    }
}

#[tokio::test]
async fn a_search_is_a_list_with_its_parameters_in_the_body() {
    let world = World::new().await;
    for name in ["a", "b", "c", "a b"] {
        world
            .post("/connections", &json!({"name": name}))
            .await
            .id();
    }
    let body = json!({
        "queryString": "property=name==a,b,%22a%20b%22&property=connectionSpec.id", "limit": 2,
        "orderby": "name", "projectionFields": "id, name"
    });
    let first = world.post("/connections/search", &body).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let items = first.body["items"].as_array().unwrap();
    let names: Vec<&str> = items
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "a b"]);
    assert!(items.iter().all(|it| it.as_object().unwrap().len() == 2));
    let href = first.body["_links"]["next"]["href"].as_str().unwrap();
    let (_, token) = href.split_once('?').unwrap();
    let rest = world
        .post(&format!("/connections/search?{token}"), &body)
        .await;
    assert_eq!(rest.body["items"][0]["name"], "b", "{}", rest.text);

    let count = json!({"queryString": "property=name!=c", "count": true});
    assert_eq!(
        world.post("/connections/search", &count).await.body["count"],
        3
    );
    for (wrong, code) in [
        (json!({"limit": 1_001}), "PAGE_INVALID"),
        (json!({"query": "x"}), "FIELD_INVALID"),
        (json!([]), "FIELD_INVALID"),
        (
            json!({"queryString": "property=nothing==1"}),
            "FILTER_FIELD_INVALID",
        ),
    ] {
        world.refused("/flows/search", &wrong, 400, code).await;
    }
    assert_eq!(
        world
            .post("/flows/search", &json!({"limit": 1_000}))
            .await
            .status,
        200
    );
}
