//! How much a schema can cost, found before it is ever used.
//!
//! A schema is a graph: *in-place* edges (`$ref`, `allOf`, `anyOf` …) look at the same value again, *inner* edges (`properties`,
//! `items` …) go one level into it.
//!
//! ```text
//!  cost(n, 0) = weight(n) + Σ cost(m, 0)      over in-place edges n → m
//!  cost(n, d) = Σ cost(m, d) over in-place edges + max cost(m, d-1) over `properties`, `prefixItems`
//!                                               + Σ cost(m, d-1) over other inner edges
//! ```
//!
//! `cost(root, d)` bounds how many parts of the schema look at any one value at depth `d` of a config. Without this, thirty lines
//! of `allOf` pairs take 2^30 steps. In-place cycles would never end; both are refused.
//!
//! Not supported, because they cannot be bounded so (or could fetch): `$id`, anchors, dynamic references, `unevaluated…`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{CONFIG_DEPTH_MAX, SchemaError, cut};

/// Most times that parts of a schema may look at one value of a config.
pub const EVALUATIONS_MAX: u64 = 512;
/// Most patterns in a schema.
pub const PATTERNS_MAX: usize = 64;
/// Members of an `enum` that count as one evaluation.
const ENUM_MEMBERS_PER_EVALUATION: u64 = 16;

/// Checks a schema, and says how often at most one value is looked at (at least 1).
///
/// # Errors
/// A [`SchemaError`] that names the place in the schema.
pub fn check(schema: &Value) -> Result<usize, SchemaError> {
    no_identities(schema, "")?;
    let graph = Graph::of(schema)?;
    if graph.patterns > PATTERNS_MAX {
        return Err(SchemaError::TooManyPatterns { count: graph.patterns, max: PATTERNS_MAX });
    }
    let order = graph.in_place_order()?;
    let evaluations = graph.worst(&order);
    if evaluations > EVALUATIONS_MAX {
        return Err(SchemaError::TooCostly { evaluations, max: EVALUATIONS_MAX });
    }
    Ok(usize::try_from(evaluations).unwrap_or(usize::MAX).max(1))
}

/// Refuses whatever gives a part of the schema a name or a dialect of its own, anywhere: a `#/…` reference below it would then mean something
/// else than it says. The recursion is as deep as the schema's JSON, which is capped.
fn no_identities(value: &Value, at: &str) -> Result<(), SchemaError> {
    match value {
        Value::Object(object) => object.iter().try_for_each(|(key, value)| {
            let here = format!("{at}/{key}");
            let known = matches!(key.as_str(), "$ref" | "$defs" | "$comment") || here == "/$schema";
            if key.starts_with('$') && !known {
                return Err(unsupported(here, key, "use only $ref (to `#/$defs/…`), $defs and $comment"));
            }
            no_identities(value, &here)
        }),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| no_identities(value, &format!("{at}/{index}"))),
        _ => Ok(()),
    }
}

/// One subschema.
#[derive(Default)]
struct Node {
    /// JSON pointer, for errors.
    at: String,
    weight: u64,
    in_place: Vec<usize>,
    /// Of each group only one applies to any one member or element.
    exclusive: Vec<Vec<usize>>,
    inner: Vec<usize>,
}

#[derive(Default)]
struct Graph<'a> {
    nodes: Vec<Node>,
    values: Vec<&'a Value>,
    /// Node by the address of its value: a subschema reached by two references is one node.
    known: HashMap<usize, usize>,
    patterns: usize,
}

impl<'a> Graph<'a> {
    fn of(schema: &'a Value) -> Result<Graph<'a>, SchemaError> {
        let mut graph = Graph::default();
        graph.node(schema, String::new());
        let mut next = 0;
        while next < graph.values.len() {
            if let Value::Object(object) = graph.values[next] {
                graph.edges(next, object, schema)?;
            }
            next += 1;
        }
        Ok(graph)
    }

    fn node(&mut self, value: &'a Value, at: String) -> usize {
        let address = std::ptr::from_ref(value).addr();
        if let Some(&known) = self.known.get(&address) {
            return known;
        }
        let index = self.nodes.len();
        self.known.insert(address, index);
        self.nodes.push(Node { at, weight: 1, ..Node::default() });
        self.values.push(value);
        index
    }

    fn edges(
        &mut self,
        node: usize,
        object: &'a Map<String, Value>,
        root: &'a Value,
    ) -> Result<(), SchemaError> {
        let at = self.nodes[node].at.clone();
        for (keyword, value) in object {
            let here = format!("{at}/{keyword}");
            match keyword.as_str() {
                "$ref" => {
                    let target = self.reference(value, &here, root)?;
                    self.nodes[node].in_place.push(target);
                }
                "unevaluatedItems" | "unevaluatedProperties" => {
                    return Err(unsupported(here, keyword, "use additionalProperties or items"));
                }
                "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas"
                | "dependencies" => {
                    let targets = self.children(value, &here);
                    self.nodes[node].in_place.extend(targets);
                }
                "properties" | "prefixItems" => {
                    let targets = self.children(value, &here);
                    self.nodes[node].exclusive.push(targets);
                }
                "patternProperties" => {
                    let targets = self.children(value, &here);
                    self.patterns += targets.len();
                    self.nodes[node].inner.extend(targets);
                }
                "additionalProperties" | "items" | "additionalItems" | "contains" | "propertyNames" => {
                    let targets = self.children(value, &here);
                    self.nodes[node].inner.extend(targets);
                }
                "pattern" => self.patterns += 1,
                "enum" => {
                    let members = value.as_array().map_or(0, Vec::len) as u64;
                    self.nodes[node].weight += members / ENUM_MEMBERS_PER_EVALUATION;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The subschemas in a keyword's value: itself, or those in its array or (for keywords that map names to schemas) object.
    fn children(&mut self, value: &'a Value, at: &str) -> Vec<usize> {
        let keyword = at.rsplit('/').next().unwrap_or_default();
        let maps_names =
            matches!(keyword, "properties" | "patternProperties" | "dependentSchemas" | "dependencies");
        match value {
            Value::Array(list) => list
                .iter()
                .enumerate()
                .map(|(index, item)| self.node(item, format!("{at}/{index}")))
                .collect(),
            Value::Object(map) if maps_names => map
                .iter()
                .filter(|(_, item)| !item.is_array())
                .map(|(name, item)| self.node(item, format!("{at}/{name}")))
                .collect(),
            _ => vec![self.node(value, at.to_owned())],
        }
    }

    fn reference(&mut self, value: &'a Value, at: &str, root: &'a Value) -> Result<usize, SchemaError> {
        let reference = value.as_str().unwrap_or_default();
        let remote = || SchemaError::RemoteReference { at: at.to_owned(), reference: cut(reference) };
        let pointer = reference.strip_prefix('#').ok_or_else(remote)?;
        // An escaped fragment would have two spellings; an anchor is not a pointer.
        if reference.contains('%') || !(pointer.is_empty() || pointer.starts_with('/')) {
            return Err(remote());
        }
        let target = root
            .pointer(pointer)
            .ok_or_else(|| SchemaError::BrokenReference { at: at.to_owned(), reference: cut(reference) })?;
        Ok(self.node(target, pointer.to_owned()))
    }

    /// The nodes, each after all that it leads to in place.
    fn in_place_order(&self) -> Result<Vec<usize>, SchemaError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        for start in 0..self.nodes.len() {
            let mut stack = vec![(start, 0)];
            while let Some((node, edge)) = stack.pop() {
                if edge == 0 {
                    if marks[node] == Mark::Done {
                        continue;
                    }
                    marks[node] = Mark::Open;
                }
                let Some(&target) = self.nodes[node].in_place.get(edge) else {
                    marks[node] = Mark::Done;
                    order.push(node);
                    continue;
                };
                stack.push((node, edge + 1));
                match marks[target] {
                    Mark::New => stack.push((target, 0)),
                    Mark::Done => {}
                    Mark::Open => {
                        let at = &self.nodes[target].at;
                        return Err(SchemaError::Circular { at: super::path(at) });
                    }
                }
            }
        }
        Ok(order)
    }

    /// The largest `cost(root, d)`.
    fn worst(&self, order: &[usize]) -> u64 {
        let mut below: Vec<u64> = Vec::new();
        let mut worst = 0;
        for depth in 0..=CONFIG_DEPTH_MAX {
            let mut costs = vec![0u64; self.nodes.len()];
            for &index in order {
                let node = &self.nodes[index];
                let mut cost = if depth == 0 { node.weight } else { 0 };
                for &target in &node.in_place {
                    cost = cost.saturating_add(costs[target]);
                }
                if depth > 0 {
                    for group in &node.exclusive {
                        cost =
                            cost.saturating_add(group.iter().map(|&target| below[target]).max().unwrap_or(0));
                    }
                    for &target in &node.inner {
                        cost = cost.saturating_add(below[target]);
                    }
                }
                costs[index] = cost;
            }
            worst = worst.max(costs[0]);
            below = costs;
        }
        worst
    }
}

fn unsupported(at: String, keyword: &str, instead: &'static str) -> SchemaError {
    SchemaError::Unsupported { at, keyword: keyword.to_owned(), instead }
}
