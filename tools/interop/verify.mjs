// Verifies presentations with libraries Provolt did not write: jose (the
// signature), @sd-jwt/core (signature and disclosures), @sd-jwt/jwt-status-list
// (the token status list) and jsonld (every member has a meaning). It shares no
// code with the registry.
//
//   node verify.mjs FILE.json
//
// FILE.json holds
//   dids           DID documents, or URLs of DID documents
//   presentations  [{name, group, token, subject}]  subject: what the reader must see;
//                  presentations of one group are of the same record
//   foreign        [{name, token}]  signed by a published key, but no record credential
//   statusLists    [{token, expected: {"INDEX": STATUS}}]
//   contexts       {URL: JSON-LD context}; the W3C ones come from a package
//
// The exit code is 0 if everything passed.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { compactVerify, importJWK } from 'jose';
import { SDJwtInstance } from '@sd-jwt/core';
import { digest, ES256 } from '@sd-jwt/crypto-nodejs';
import { getListFromStatusListJWT } from '@sd-jwt/jwt-status-list';
import jsonld from 'jsonld';
import { contexts as w3cContexts } from '@digitalcredentials/credentials-v2-context';

const type = 'vc+sd-jwt';
const input = JSON.parse(await readFile(process.argv[2], 'utf8'));
let passed = 0;
let failed = 0;

async function check(name, test) {
  try {
    await test();
    passed++;
  } catch (error) {
    failed++;
    console.error(`FAILED ${name}: ${error.message}`);
  }
}

async function refuses(name, test) {
  await check(name, async () => {
    try {
      await test();
    } catch {
      return;
    }
    throw new Error('it was accepted');
  });
}

function same(got, want) {
  if (!isDeepStrictEqual(got, want)) {
    throw new Error(`got ${JSON.stringify(got).slice(0, 300)}, want ${JSON.stringify(want).slice(0, 300)}`);
  }
}

// Published keys, by key id.

const keys = new Map();
for (const entry of input.dids) {
  const document = typeof entry === 'string' ? await (await fetch(entry)).json() : entry;
  for (const method of document.verificationMethod) {
    if (document.assertionMethod.includes(method.id) && method.controller === document.id && method.publicKeyJwk) {
      keys.set(method.id, method.publicKeyJwk);
    }
  }
}

function decode(segment) {
  return JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'));
}

function keyOf(jws) {
  const { kid } = decode(jws.split('.')[0]);
  if (!keys.has(kid)) {
    throw new Error(`the key ${kid} is not published`);
  }
  return keys.get(kid);
}

// Every digest in the payload and in the disclosures themselves.

function digests(value, found = new Set()) {
  if (Array.isArray(value)) {
    value.forEach((element) => digests(element, found));
  } else if (value !== null && typeof value === 'object') {
    (value._sd ?? []).forEach((each) => found.add(each));
    if (typeof value['...'] === 'string') {
      found.add(value['...']);
    }
    Object.values(value).forEach((member) => digests(member, found));
  }
  return found;
}

function mustBeReferenced(payload, disclosures) {
  const found = digests([payload, ...disclosures.map(decode)]);
  for (const disclosure of disclosures) {
    if (!found.has(createHash('sha256').update(disclosure).digest('base64url'))) {
      throw new Error('a disclosure does not belong to the signed bytes');
    }
  }
}

// The two verifiers. Both look for the key among the published ones only, and
// want the exact type.

async function withJose(token) {
  const [jws, ...rest] = token.split('~');
  const key = await importJWK(keyOf(jws), 'ES256');
  const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ['ES256'] });
  if (protectedHeader.typ !== type) {
    throw new Error(`typ is ${protectedHeader.typ}`);
  }
  const claims = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  mustBeReferenced(claims, rest.filter((part) => part !== ''));
  return claims;
}

async function withSDJWT(token) {
  const verifier = await ES256.getVerifier(keyOf(token.split('~')[0]));
  const instance = new SDJwtInstance({ hasher: digest, hashAlg: 'sha-256', verifier });
  const { payload, header } = await instance.verify(token);
  if (header.typ !== type || header.alg !== 'ES256') {
    throw new Error(`typ is ${header.typ}, alg ${header.alg}`);
  }
  const [jws, ...rest] = token.split('~');
  mustBeReferenced(decode(jws.split('.')[1]), rest.filter((part) => part !== ''));
  return payload;
}

const verifiers = { jose: withJose, '@sd-jwt/core': withSDJWT };

// Every presentation verifies and shows exactly what it should.

for (const { name, token, subject } of input.presentations) {
  await check(`${name}, jose`, () => withJose(token));
  await check(`${name}, @sd-jwt/core`, async () => {
    same((await withSDJWT(token)).credentialSubject, subject);
  });
}

// All presentations of a record share their signed bytes.

const groups = Map.groupBy
  ? Map.groupBy(input.presentations, (each) => each.group)
  : input.presentations.reduce((all, each) => all.set(each.group, [...(all.get(each.group) ?? []), each]), new Map());
for (const [group, presentations] of groups) {
  await check(`${group}: one set of signed bytes`, () => {
    same(new Set(presentations.map(({ token }) => token.split('~')[0])).size, 1);
  });
}

// Tampered copies.

function tampered(token) {
  const [jws, ...rest] = token.split('~');
  const [header, payload, signature] = jws.split('.');
  const rewrite = (segment, change) => {
    const value = decode(segment);
    change(value);
    return Buffer.from(JSON.stringify(value)).toString('base64url');
  };
  const join = (...parts) => [parts.join('.'), ...rest].join('~');
  const flipped = Buffer.from(signature, 'base64url');
  flipped[5] ^= 1;
  const copies = {
    'a changed payload': join(header, rewrite(payload, (p) => { p.environment = 'changed'; }), signature),
    'a changed type': join(rewrite(header, (h) => { h.typ = 'dc+sd-jwt'; }), payload, signature),
    'alg none': join(rewrite(header, (h) => { h.alg = 'none'; }), payload, ''),
    'another key id': join(rewrite(header, (h) => { h.kid += 'x'; }), payload, signature),
    'a flipped signature bit': join(header, payload, flipped.toString('base64url')),
    'no signature': join(header, payload, ''),
  };
  const disclosure = rest.find((part) => part !== '');
  if (disclosure) {
    const parts = decode(disclosure);
    parts[parts.length - 1] = 'changed';
    const changed = Buffer.from(JSON.stringify(parts)).toString('base64url');
    copies['a changed disclosure'] = token.replace(disclosure, changed);
  }
  return copies;
}

for (const { name, token } of input.presentations) {
  for (const [change, copy] of Object.entries(tampered(token))) {
    for (const [library, verify] of Object.entries(verifiers)) {
      await refuses(`${name}, ${change}, ${library}`, () => verify(copy));
    }
  }
}

// A disclosure of another record.

for (const [group, presentations] of groups) {
  const other = [...groups].find(([name, all]) => name !== group && all.some(({ token }) => token.split('~').length > 2));
  if (!other) {
    continue;
  }
  const foreign = other[1].map(({ token }) => token.split('~')[1]).find((part) => part !== '');
  for (const [library, verify] of Object.entries(verifiers)) {
    await refuses(`${group}, a disclosure of ${other[0]}, ${library}`, () => verify(`${presentations[0].token}${foreign}~`));
  }
}

// Tokens that a published key signed but that are no records.

for (const { name, token } of input.foreign ?? []) {
  for (const [library, verify] of Object.entries(verifiers)) {
    await refuses(`${name}, ${library}`, () => verify(token));
  }
}

// The token status list.

for (const { token, expected } of input.statusLists ?? []) {
  await check('token status list', async () => {
    const key = await importJWK(keyOf(token), 'ES256');
    const { protectedHeader } = await compactVerify(token, key, { algorithms: ['ES256'] });
    same(protectedHeader.typ, 'statuslist+jwt');
    const list = getListFromStatusListJWT(token);
    for (const [index, status] of Object.entries(expected)) {
      same(list.getStatus(Number(index)), status);
    }
  });
}

// Every member has a meaning: expansion in safe mode fails on one that has none.

async function loader(url) {
  const document = input.contexts?.[url] ?? w3cContexts.get(url);
  if (!document) {
    throw new Error(`no context ${url} at hand`);
  }
  return { contextUrl: null, documentUrl: url, document };
}

for (const { name, token } of input.presentations) {
  await check(`${name}, jsonld`, async () => {
    const claims = await withSDJWT(token);
    const [expanded] = await jsonld.expand(claims, { documentLoader: loader, safe: true });
    same(expanded['@id'], claims.id);
    const [subject] = expanded['https://www.w3.org/2018/credentials#credentialSubject'];
    same(subject['@id'], claims.credentialSubject.id);
    await jsonld.toRDF(claims, { documentLoader: loader, safe: true });
  });
}

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
