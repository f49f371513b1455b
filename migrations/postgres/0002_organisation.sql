-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS organisation (
    org         text COLLATE "C" NOT NULL PRIMARY KEY,
    name        text COLLATE "C" NOT NULL,
    country     text COLLATE "C" NOT NULL,
    party_ids   text COLLATE "C" NOT NULL, -- JSON: [{"scheme":"lei","value":"…"}]
    roles       text COLLATE "C" NOT NULL, -- JSON: ["issuer"]
    oidc_issuer text COLLATE "C" NOT NULL, -- empty: none
    admitted_at timestamptz      NOT NULL
);

-- A key stays for ever; retired_at is its only member that changes, once.
CREATE TABLE IF NOT EXISTS signing_key (
    org        text COLLATE "C" NOT NULL,
    key_id     text COLLATE "C" NOT NULL, -- DID URL
    algorithm  text COLLATE "C" NOT NULL,
    public_key bytea            NOT NULL, -- PKIX, DER
    not_before timestamptz      NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (org, key_id)
);

CREATE TABLE IF NOT EXISTS member (
    org      text COLLATE "C" NOT NULL,
    issuer   text COLLATE "C" NOT NULL,
    subject  text COLLATE "C" NOT NULL,
    roles    text COLLATE "C" NOT NULL, -- JSON
    bound_at timestamptz      NOT NULL,
    PRIMARY KEY (org, issuer, subject)
);

CREATE TABLE IF NOT EXISTS enrolment (
    secret      bytea            NOT NULL PRIMARY KEY, -- SHA-256 of the secret
    org         text COLLATE "C" NOT NULL,
    roles       text COLLATE "C" NOT NULL, -- JSON
    expires_at  timestamptz      NOT NULL,
    redeemed_at timestamptz
);
