//! What a later version may say besides.

use serde_json::{Value, json};

/// Every copy of `message` with one field more in one of its objects, and where that object is, as a JSON pointer.
pub(crate) fn with_unknown_fields(message: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    objects(message, "", &mut places);
    let with = |place: &String| {
        let mut copy = message.clone();
        copy.pointer_mut(place).expect("the object")["added_later"] = json!({"a": [1, {"b": null}]});
        (place.clone(), copy)
    };
    places.iter().map(with).collect()
}

fn objects(value: &Value, at: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            places.push(at.to_owned());
            for (name, member) in members {
                objects(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                objects(element, &format!("{at}/{index}"), places);
            }
        }
        _ => {}
    }
}
