import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The authorization server's memory. Nothing in it lets anybody in by being read: secrets, codes, cookies and refresh tokens stand here as
 * digests, passwords as scrypt. Rows with `ends_at` are of no use after it and are swept.
 */
const TABLES: readonly string[] = [
  // What a client's registration (a Basic resource) says, as the token endpoint reads it; written with the resource, by an administrator.
  `CREATE TABLE auth_client (
    client_id text PRIMARY KEY,
    basic_id text NOT NULL UNIQUE,
    registration jsonb NOT NULL
  )`,
  `CREATE TABLE auth_client_secret (
    client_id text NOT NULL,
    secret_sha256 text NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, secret_sha256)
  )`,
  // Assertions that were used (jti), by a digest of client and jti.
  `CREATE TABLE auth_used_once (digest text PRIMARY KEY, ends_at timestamptz NOT NULL)`,
  // Somebody is on the way from an app's authorization request to its answer.
  `CREATE TABLE auth_request (
    id_sha256 text PRIMARY KEY,
    browser_sha256 text NOT NULL,
    content jsonb NOT NULL,
    ends_at timestamptz NOT NULL
  )`,
  // One approval of one person for one app: what its codes, refresh tokens and access tokens hang on.
  `CREATE TABLE auth_family (
    id text PRIMARY KEY,
    client_id text NOT NULL,
    subject text NOT NULL,
    content jsonb NOT NULL,
    ends_at timestamptz NOT NULL,
    revoked_at timestamptz
  )`,
  `CREATE INDEX auth_family_subject ON auth_family (subject)`,
  `CREATE TABLE auth_code (
    code_sha256 text PRIMARY KEY,
    family text NOT NULL,
    redirect_uri text NOT NULL,
    challenge text NOT NULL,
    valid_until timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    used_at timestamptz
  )`,
  `CREATE TABLE auth_refresh (
    token_sha256 text PRIMARY KEY,
    family text NOT NULL,
    ends_at timestamptz NOT NULL,
    used_at timestamptz
  )`,
  // Ends access tokens before their time: a token id, or a family.
  `CREATE TABLE auth_revoked (
    key text PRIMARY KEY,
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at timestamptz NOT NULL
  )`,
  `CREATE INDEX auth_revoked_at ON auth_revoked (revoked_at)`,
  `CREATE TABLE auth_launch (
    launch_sha256 text PRIMARY KEY,
    content jsonb NOT NULL,
    ends_at timestamptz NOT NULL
  )`,
  `CREATE TABLE auth_account (
    name text PRIMARY KEY,
    password text NOT NULL,
    fhir_user text,
    roles text[] NOT NULL,
    active boolean NOT NULL DEFAULT true,
    tries integer NOT NULL DEFAULT 0,
    locked_until timestamptz
  )`,
  `CREATE TABLE auth_session (
    session_sha256 text PRIMARY KEY,
    content jsonb NOT NULL,
    ends_at timestamptz NOT NULL
  )`,
];

const SWEPT = [
  'auth_used_once',
  'auth_request',
  'auth_family',
  'auth_code',
  'auth_refresh',
  'auth_revoked',
  'auth_launch',
  'auth_session',
];

export class Access1763700000017 implements MigrationInterface {
  name = 'Access1763700000017';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(table);
    for (const table of SWEPT) await runner.query(`CREATE INDEX ${table}_ends ON ${table} (ends_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of [...SWEPT, 'auth_account', 'auth_client_secret', 'auth_client'])
      await runner.query(`DROP TABLE ${table}`);
  }
}
