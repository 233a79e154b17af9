pub mod explain { #[derive(serde::Serialize)] pub struct E; impl E { pub fn lines(&self) -> Vec<String> { vec![] } } pub fn explain(_: &[u8]) -> E { E } }
