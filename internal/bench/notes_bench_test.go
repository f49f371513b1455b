//go:build bench

package bench_test

// Why goals are missed, where they are, and what would help.
const (
	signMissed = "`credential.Issue` does more than sign: it salts and hashes the disclosures, encodes 2.3 KB of claims, verifies the signature it has just made " +
		"(a P-256 verification costs about twice a signature), and takes the whole presentation apart again to compare it with what went in. " +
		"Next: one verification per record. The registry's own verifier checks the same bytes once more before they are stored."
	checkMissed = "jsonschema v5 interprets the schema value by value and allocates as it goes, while the baseline only builds a tree. " +
		"Next: checkers generated from the attribute catalogue, with the library as their oracle in a differential test."
	cachedMissed = "what the baseline has not: a line in the access log (built, redacted, encoded and written by one system call each), a request id from the " +
		"system's randomness, six headers, metrics, and the look-up itself. Next: redact only what can hold a secret, and gather log lines in a buffer that is written when it is full or a moment old."
	heldMissed = "on loopback a body costs the baseline one copy, which is less than our log line, request id and headers cost. " +
		"Over a network the body counts and this ratio grows with its size. Next: as for the cached GET."
	coldMissed = "the record's signature is verified and its claims are parsed on every cold read (about a third of the server's time), model and batch are encoded to JSON anew " +
		"although they never change (a quarter), and record and status are two round trips. Next: compare the stored digest instead of the signature, keep the " +
		"encoded model and batch, ask for both rows at once."
	commitMissed = "each item is a transaction of its own with eight statements. Next: a group-commit writer as in the SQLite store; with sixteen items in " +
		"one transaction, each table filled by one statement, the same server takes about three times as many items."
	sqliteMissed = "one item alone pays for the questions asked before it is written and for the hand-over to the writer's goroutine. " +
		"With company it pays a fraction: see the figure for 16 at once."
	registerMissed = "the database's part alone (five inserts and ten index entries against one insert and one) is more than three times the baseline's. On the server the rest is " +
		"three P-256 verifications (access token, fresh signature, self-check), the schemas, and one look for a predecessor. " +
		"Next: group commit with one statement per table, a cache of verified access tokens until they end, and one verification per record instead of two."
)
