//! `meta/CERTIFICATION.md`: a form for the human who will vouch for the bundle. The program certifies nothing: it fills in what it recorded and
//! leaves blank what only a person can say. Root digest and signatures are not in it (they are over it): the person writes them in.

use super::documents::Predicate;
use super::text::line;

pub(super) fn template(about: &Predicate) -> String {
    let unfinished = if about.finished { "" } else { "The run was interrupted; planned questions may be missing (meta/coverage.json).\n" };
    let code =
        about.target.code_sha256.as_deref().map(|c| format!("- Its code, as AWS stated its digest: `{}`\n", line(c))).unwrap_or_default();
    let signers: String = about.signers.iter().map(|s| format!("- To be signed with {}\n", line(&s.name()))).collect();
    let binary = about.tool.binary_sha256.map(|b| b.to_string()).unwrap_or_else(|| "unknown".into());
    format!(
        "# Certification of digital evidence\n\n\
         *This is a form. It was filled in by the program that made the bundle with what it recorded; nobody has signed it, and the program\n\
         certifies nothing. Have counsel adapt it to the jurisdiction (in the United States: Federal Rules of Evidence 902(11), 902(13), 902(14)).*\n\n\
         ## What is certified\n\n\
         - Case: `{case}`\n\
         - Bundle: `{bundle}`\n\
         - About: `{target}`\n\
         {code}\
         - Opened: {opened} · closed: {sealed} (UTC, by the collector's clock{skew})\n\
         - By: `{operator}`, with the playbook `{playbook}`\n\
         - With: {tool} {version}, SHA-256 of the program `{binary}`\n\
         - {items} recorded outcomes, {gaps} of them gaps: questions that could not be answered, listed in meta/coverage.json\n\
         {signers}\
         - Root digest (SHA-256 of tagmanifest-sha256.txt), to be written in by whoever certifies: `________________________________________________________________`\n\n\
         {unfinished}\n\
         ## How the bundle was made\n\n\
         The program asked the interfaces of Amazon Web Services for the records listed in meta/items.jsonl, and stored every answer byte for byte\n\
         as it was received, with its headers and request identifier, computing a SHA-256 digest while it was written. Each step was written to a\n\
         journal of which every line holds the digest of the line before. At the end the digests of all files were listed and the digest of that\n\
         list, the root, was stated. Whether the bundle is unchanged can be checked with common programs, as meta/VERIFY.txt describes.\n\n\
         ## Declaration\n\n\
         I, ________________________ (name), ________________________ (position, organisation), declare:\n\n\
         1. My qualification for this certification is: ______________________________________________.\n\
         2. On ____________ I checked the bundle named above with the steps of meta/VERIFY.txt. The root digest was the one written in above, and\n   \
            the signatures were of the keys with the fingerprints: ______________________________________________.\n\
         3. The records were made by a process or system that produces an accurate result, as described above; the copy was authenticated by a\n   \
            process of digital identification (the comparison of SHA-256 digests).\n\
         4. Known limits of the record (gaps, clocks, access between collection and today): ______________________________________________.\n\
         5. From ____________ until today the bundle was kept at ______________________________________________, and access to it was had by:\n   \
            ______________________________________________.\n\n\
         I declare under penalty of perjury that this is true.\n\n\
         Place, date: ________________________    Signature: ________________________\n",
        case = about.case,
        bundle = about.bundle,
        target = line(&about.target.arn),
        opened = about.opened,
        sealed = about.sealed,
        skew = about.clock_skew_ms.map(|ms| format!(", which differed from AWS's by {ms} ms")).unwrap_or_default(),
        operator = line(&about.operator).replace('`', "'"),
        playbook = line(&about.playbook).replace('`', "'"),
        tool = line(&about.tool.name),
        version = line(&about.tool.version),
        items = about.items,
        gaps = about.gaps,
    )
}
