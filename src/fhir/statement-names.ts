import { createHash } from 'node:crypto';
import type { Statement } from '../database/database.ts';

/**
 * A statement whose text depends on the caller's access, under a name of its own: parsed and planned once per connection. How many there can be hangs on the roles and
 * scopes in use; each connection keeps every name, so beyond a number they go without.
 */
export function prepared(prefix: string, text: string): Statement {
  let found = statements.get(text);
  if (!found && statements.size < PREPARED_MAX) {
    found = { name: `${prefix}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`, text };
    statements.set(text, found);
  }
  return found ?? { text };
}

const PREPARED_MAX = 300;
const statements = new Map<string, Statement>();
