const REFERENCE = /(?:^|\/)Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/;
const ID_AND_END = /([A-Za-z0-9.-]{1,64})["/]/y;
const ID_MEMBER = /,\s*"id":\s?"([A-Za-z0-9.-]{1,64})"/y;
const NAMED = 'Patient/';
const TYPED = '"Patient"';
/** Our own URL and the reference before the id; more is no reference of ours. */
const URL_CHARS_MAX = 300;

/**
 * Adds the logical ids of the Patients that a text of FHIR JSON holds or refers to. Inside a JSON string every quote has a backslash, so no text in a
 * resource can pass for a reference or for the beginning of a Patient. Looks for the word and then around it: a page of a search is read once, quickly.
 */
export function findPatients(text: string, into: Set<string>): void {
  for (let at = text.indexOf(NAMED); at !== -1; at = text.indexOf(NAMED, at + NAMED.length)) {
    const quote = text.lastIndexOf('"', at);
    if (at - quote > URL_CHARS_MAX || !endsWithMember(text, quote, '"reference":')) continue;
    ID_AND_END.lastIndex = at + NAMED.length;
    const id = ID_AND_END.exec(text)?.[1];
    if (id !== undefined) into.add(id);
  }
  for (let at = text.indexOf(TYPED); at !== -1; at = text.indexOf(TYPED, at + TYPED.length)) {
    if (!endsWithMember(text, at, '"resourceType":')) continue;
    ID_MEMBER.lastIndex = at + TYPED.length;
    const id = ID_MEMBER.exec(text)?.[1];
    if (id !== undefined) into.add(id);
  }
}

/** Does the member's name stand right before `end`, with at most one blank between? */
const endsWithMember = (text: string, end: number, name: string): boolean =>
  text.startsWith(name, end - name.length) ||
  (text[end - 1] === ' ' && text.startsWith(name, end - 1 - name.length));

/** The same of a parsed resource. */
export function patientsOf(resource: { readonly resourceType?: string; readonly id?: string }): Set<string> {
  const found = new Set<string>();
  if (resource.resourceType === 'Patient' && resource.id) found.add(resource.id);
  walk(resource, found);
  return found;
}

function walk(value: object, found: Set<string>): void {
  for (const [key, part] of Object.entries(value)) {
    if (typeof part === 'object' && part !== null) walk(part, found);
    else if (key === 'reference' && typeof part === 'string') {
      const id = REFERENCE.exec(part)?.[1];
      if (id !== undefined) found.add(id);
    }
  }
}
