package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/strictjson"
)

// addProof secures a JSON document with a Data Integrity proof of the
// cryptosuite eddsa-jcs-2022 (Data Integrity EdDSA Cryptosuites 1.0 section
// 3.3). The document itself is not changed.
func addProof(document map[string]any, kid string, key crypto.Signer, at time.Time) (map[string]any, error) {
	if err := checkKeyID(kid); err != nil {
		return nil, err
	}
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, faultf("key.algorithm", "the key %s is no Ed25519 key", kid)
	}
	proof := map[string]any{
		"@context":           document["@context"],
		"type":               "DataIntegrityProof",
		"cryptosuite":        "eddsa-jcs-2022",
		"created":            at.UTC().Format(time.RFC3339),
		"verificationMethod": kid,
		"proofPurpose":       "assertionMethod",
	}
	hash, err := proofHash(document, proof)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(rand.Reader, hash, crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", kid, err)
	}
	if !ed25519.Verify(pub, hash, signature) {
		return nil, faultf("key.signature", "the signer returned no Ed25519 signature")
	}
	proof["proofValue"] = multibase(signature)
	secured := maps.Clone(document)
	secured["proof"] = proof
	return secured, nil
}

// checkProof verifies what addProof made, with the key the proof names if it
// was in use at that time.
func checkProof(secured map[string]any, keys []PublicKey, at time.Time) error {
	proof, _ := secured["proof"].(map[string]any)
	if proof["type"] != "DataIntegrityProof" || proof["cryptosuite"] != "eddsa-jcs-2022" || proof["proofPurpose"] != "assertionMethod" {
		return faultf("proof.form", "the proof is no eddsa-jcs-2022 assertion")
	}
	if !startsWith(secured["@context"], proof["@context"]) {
		return faultf("proof.context", "the contexts of proof and document differ")
	}
	kid, _ := proof["verificationMethod"].(string)
	key, err := keyInUse(keys, kid, at)
	if err != nil {
		return err
	}
	pub, ok := key.Key().(ed25519.PublicKey)
	if !ok {
		return faultf("proof.key", "the key %s is no Ed25519 key", kid)
	}
	value, _ := proof["proofValue"].(string)
	signature, err := parseMultibase(value)
	if err != nil || len(signature) != ed25519.SignatureSize {
		return faultf("proof.value", "the proof value is no Ed25519 signature in base58")
	}
	document, options := maps.Clone(secured), maps.Clone(proof)
	delete(document, "proof")
	delete(options, "proofValue")
	document["@context"] = proof["@context"]
	hash, err := proofHash(document, options)
	if err != nil {
		return err
	}
	if !ed25519.Verify(pub, hash, signature) {
		return faultf("signature.invalid", "the proof does not hold")
	}
	return nil
}

// proofHash is what the suite signs: the digest of the proof options, then
// that of the document, both canonical after RFC 8785.
func proofHash(document, options map[string]any) ([]byte, error) {
	hash := make([]byte, 0, 2*sha256.Size)
	for _, tree := range []map[string]any{options, document} {
		canonical, err := strictjson.Canonical(tree)
		if err != nil {
			return nil, fmt.Errorf("canonicalise: %w", err)
		}
		sum := sha256.Sum256(canonical)
		hash = append(hash, sum[:]...)
	}
	return hash, nil
}

func startsWith(whole, start any) bool {
	all, ok := whole.([]any)
	first, isList := start.([]any)
	return ok && isList && len(first) <= len(all) && slices.EqualFunc(first, all[:len(first)], equal)
}

// deterministic returns the random source for a signature that must come out
// the same each time: none, if the key is in memory (RFC 6979).
func deterministic(key crypto.Signer) io.Reader {
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return nil
	}
	return rand.Reader
}

const base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// multibase encodes in base58btc with its prefix "z" (Controlled Identifiers
// 1.0 section 2.4).
func multibase(b []byte) string {
	zeros := len(b) - len(bytes.TrimLeft(b, "\x00"))
	n, base, digit := new(big.Int).SetBytes(b), big.NewInt(58), new(big.Int)
	var reversed []byte
	for n.Sign() > 0 {
		n.DivMod(n, base, digit)
		reversed = append(reversed, base58Digits[digit.Int64()])
	}
	slices.Reverse(reversed)
	return "z" + strings.Repeat("1", zeros) + string(reversed)
}

// parseMultibase is the inverse of multibase, for keys and signatures.
func parseMultibase(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, "z")
	const longest = 128 // characters; a signature has 88
	if !ok || len(digits) > longest {
		return nil, faultf("proof.multibase", "not base58btc")
	}
	n, base := new(big.Int), big.NewInt(58)
	for _, c := range []byte(digits) {
		digit := strings.IndexByte(base58Digits, c)
		if digit < 0 {
			return nil, faultf("proof.multibase", "not base58btc")
		}
		n.Add(n.Mul(n, base), big.NewInt(int64(digit)))
	}
	zeros := len(digits) - len(strings.TrimLeft(digits, "1"))
	return append(make([]byte, zeros), n.Bytes()...), nil
}
