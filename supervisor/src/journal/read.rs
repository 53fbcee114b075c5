//! Reads a whole journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use croupier_core::durable::Change;
use croupier_core::ids::SessionId;
use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::books::{Books, Ended};
use super::contents::{Contents, Flaw, GameOnDisk, Place};
use super::format::{ENTRIES, EntryKey, GAMES, GameRecord, META, OPENS, unseal};

/// Reads everything, believing nothing that its checksum does not vouch for.
pub(super) fn read_all(database: &Database) -> Result<(Contents, Books), redb::Error> {
    let read = database.begin_read()?;
    let (mut contents, mut books) = (Contents::default(), Books::default());
    let mut names = BTreeMap::new();
    for row in read.open_table(GAMES)?.iter()? {
        let (name, value) = row?;
        let name = name.value().to_owned();
        match unseal::<_, GameRecord>(&name.as_str(), value.value()) {
            Ok(record) => {
                names.insert(record.id, name.clone());
                let GameRecord { at, digest, version, .. } = record.clone();
                contents
                    .games
                    .insert(name.clone(), GameOnDisk { at, digest, version, ..GameOnDisk::default() });
                books.games.insert(name, record);
            }
            Err(why) => contents.flaws.push(Flaw { place: Place::Game { name }, why }),
        }
    }
    for row in read.open_table(OPENS)?.iter()? {
        let (session, value) = row?;
        let session = SessionId(session.value());
        match unseal(&session.0, value.value()) {
            Ok(record) => drop(contents.opens.insert(session, record)),
            Err(why) => contents.flaws.push(Flaw { place: Place::Open { session }, why }),
        }
    }
    for row in read.open_table(ENTRIES)?.iter()? {
        let (key, value) = row?;
        read_entry(key.value(), value.value(), &names, &mut contents, &mut books);
    }
    contents.found = books.totals.entries;
    let counted = read.open_table(META)?.get("entries")?.map(|value| value.value());
    // The first transaction makes the tables and counts nothing.
    contents.counted = counted.unwrap_or(0);
    let Books { games, ended, .. } = &mut books;
    for (name, game) in &contents.games {
        let id = games.get(name).map_or(0, |record| record.id);
        let mut old: Vec<_> = game.sessions.iter().filter(|(_, session)| session.has_ended()).collect();
        old.sort_by_key(|(_, session)| session.changes.last().map(|(at, _)| *at));
        let of_game: &mut Ended = Arc::make_mut(ended.entry(id).or_default());
        for (session, on_disk) in old {
            of_game.add(*session, on_disk.bytes);
            // Of others the turns are there, for their transcripts; the game that adopts them buries them.
            if on_disk.changes.len() == 1 {
                of_game.bury(*session);
            }
        }
    }
    Ok((contents, books))
}

fn read_entry(
    key: EntryKey,
    value: &[u8],
    names: &BTreeMap<u32, String>,
    contents: &mut Contents,
    books: &mut Books,
) {
    let (id, session, at) = (key.0, SessionId(key.1), key.2);
    let name = names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    books.totals.entries += 1;
    books.totals.bytes += value.len() as u64;
    let change = unseal::<_, Change>(&key, value);
    // Sessions of a game whose record is damaged are shown under its number.
    let on_disk = contents.games.entry(name.clone()).or_default().sessions.entry(session).or_default();
    on_disk.bytes += value.len() as u64;
    match change {
        Ok(change) => on_disk.changes.push((at, change)),
        Err(why) => {
            on_disk.unreadable += 1;
            contents.flaws.push(Flaw { place: Place::Entry { game: name, session, at }, why });
        }
    }
}
