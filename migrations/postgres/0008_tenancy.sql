-- The second wall between tenants. The registry serves as the role
-- provolt_serving, which owns nothing; each transaction says for whom it acts
-- in the setting provolt.tenants, a text array, and the policies below let it
-- see and write rows of those organisations alone. Without the setting there
-- are none. The role itself is made before this file runs: it belongs to the
-- server, not to this database.
--
-- What a policy cannot say, the privileges do: tables that only grow give the
-- role neither UPDATE nor DELETE, others UPDATE of the columns that may change.

-- +goose NO TRANSACTION
-- +goose Up

-- Not tenants' data: no policies. Serving compares the version before it starts.

REVOKE ALL ON goose_db_version FROM PUBLIC, provolt_serving;

GRANT SELECT ON goose_db_version TO provolt_serving;

REVOKE ALL ON instance FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON instance TO provolt_serving;

-- No policy: a claim passes from one tenant to another, and which may follow
-- is decided over the release before the compare-and-set.
REVOKE ALL ON battery_claim FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (series_id, claimed_at) ON battery_claim TO provolt_serving;

REVOKE ALL ON slot_counter FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (next_slot) ON slot_counter TO provolt_serving;

REVOKE ALL ON log_pending FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON log_pending TO provolt_serving;

-- Published: anybody reads, the tenant writes.

REVOKE ALL ON organisation FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (name, country, party_ids, roles, oidc_issuer) ON organisation TO provolt_serving;

ALTER TABLE organisation ENABLE ROW LEVEL SECURITY;

ALTER TABLE organisation FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS organisation_read ON organisation;

CREATE POLICY organisation_read ON organisation FOR SELECT USING (true);

DROP POLICY IF EXISTS organisation_add ON organisation;

CREATE POLICY organisation_add ON organisation FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS organisation_change ON organisation;

CREATE POLICY organisation_change ON organisation FOR UPDATE USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON signing_key FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (retired_at) ON signing_key TO provolt_serving;

ALTER TABLE signing_key ENABLE ROW LEVEL SECURITY;

ALTER TABLE signing_key FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS signing_key_read ON signing_key;

CREATE POLICY signing_key_read ON signing_key FOR SELECT USING (true);

DROP POLICY IF EXISTS signing_key_add ON signing_key;

CREATE POLICY signing_key_add ON signing_key FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS signing_key_change ON signing_key;

CREATE POLICY signing_key_change ON signing_key FOR UPDATE USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON record FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON record TO provolt_serving;

ALTER TABLE record ENABLE ROW LEVEL SECURITY;

ALTER TABLE record FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS record_read ON record;

CREATE POLICY record_read ON record FOR SELECT USING (true);

DROP POLICY IF EXISTS record_add ON record;

CREATE POLICY record_add ON record FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON natural_key FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON natural_key TO provolt_serving;

ALTER TABLE natural_key ENABLE ROW LEVEL SECURITY;

ALTER TABLE natural_key FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS natural_key_read ON natural_key;

CREATE POLICY natural_key_read ON natural_key FOR SELECT USING (true);

DROP POLICY IF EXISTS natural_key_add ON natural_key;

CREATE POLICY natural_key_add ON natural_key FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON passport_status FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON passport_status TO provolt_serving;

ALTER TABLE passport_status ENABLE ROW LEVEL SECURITY;

ALTER TABLE passport_status FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS passport_status_read ON passport_status;

CREATE POLICY passport_status_read ON passport_status FOR SELECT USING (true);

DROP POLICY IF EXISTS passport_status_add ON passport_status;

CREATE POLICY passport_status_add ON passport_status FOR INSERT WITH CHECK (actor = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON passport_release FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (owner, recipient, released_at) ON passport_release TO provolt_serving;

ALTER TABLE passport_release ENABLE ROW LEVEL SECURITY;

ALTER TABLE passport_release FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS passport_release_read ON passport_release;

CREATE POLICY passport_release_read ON passport_release FOR SELECT USING (true);

DROP POLICY IF EXISTS passport_release_add ON passport_release;

CREATE POLICY passport_release_add ON passport_release FOR INSERT WITH CHECK (owner = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

-- Whoever wrote a release stands in it as owner. The registry counts it only if
-- that is the passport's operator, so a foreign row releases nothing.
DROP POLICY IF EXISTS passport_release_change ON passport_release;

CREATE POLICY passport_release_change ON passport_release FOR UPDATE USING (true) WITH CHECK (owner = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

-- Confidential: the tenant alone reads and writes.

REVOKE ALL ON disclosure FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON disclosure TO provolt_serving;

ALTER TABLE disclosure ENABLE ROW LEVEL SECURITY;

ALTER TABLE disclosure FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS disclosure_read ON disclosure;

CREATE POLICY disclosure_read ON disclosure FOR SELECT USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS disclosure_add ON disclosure;

CREATE POLICY disclosure_add ON disclosure FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON idempotency FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON idempotency TO provolt_serving;

ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY;

ALTER TABLE idempotency FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS idempotency_read ON idempotency;

CREATE POLICY idempotency_read ON idempotency FOR SELECT USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS idempotency_add ON idempotency;

CREATE POLICY idempotency_add ON idempotency FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON member FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (roles, bound_at) ON member TO provolt_serving;

ALTER TABLE member ENABLE ROW LEVEL SECURITY;

ALTER TABLE member FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS member_read ON member;

CREATE POLICY member_read ON member FOR SELECT USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS member_add ON member;

CREATE POLICY member_add ON member FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS member_change ON member;

CREATE POLICY member_change ON member FOR UPDATE USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON enrolment FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (redeemed_at) ON enrolment TO provolt_serving;

ALTER TABLE enrolment ENABLE ROW LEVEL SECURITY;

ALTER TABLE enrolment FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS enrolment_read ON enrolment;

CREATE POLICY enrolment_read ON enrolment FOR SELECT USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS enrolment_add ON enrolment;

CREATE POLICY enrolment_add ON enrolment FOR INSERT WITH CHECK (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS enrolment_change ON enrolment;

CREATE POLICY enrolment_change ON enrolment FOR UPDATE USING (org = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

REVOKE ALL ON purpose_log FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT ON purpose_log TO provolt_serving;

ALTER TABLE purpose_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE purpose_log FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS purpose_log_read ON purpose_log;

CREATE POLICY purpose_log_read ON purpose_log FOR SELECT USING (owner = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS purpose_log_add ON purpose_log;

CREATE POLICY purpose_log_add ON purpose_log FOR INSERT WITH CHECK (owner = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

-- A grant is also its grantee's to read.

REVOKE ALL ON access_grant FROM PUBLIC, provolt_serving;

GRANT SELECT, INSERT, UPDATE (revoked_at) ON access_grant TO provolt_serving;

ALTER TABLE access_grant ENABLE ROW LEVEL SECURITY;

ALTER TABLE access_grant FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS access_grant_read ON access_grant;

CREATE POLICY access_grant_read ON access_grant FOR SELECT USING (owner = ANY (nullif(current_setting('provolt.tenants', true), '')::text[])
    OR grantee = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS access_grant_add ON access_grant;

CREATE POLICY access_grant_add ON access_grant FOR INSERT WITH CHECK (owner = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));

DROP POLICY IF EXISTS access_grant_change ON access_grant;

CREATE POLICY access_grant_change ON access_grant FOR UPDATE USING (owner = ANY (nullif(current_setting('provolt.tenants', true), '')::text[]));
