import { useState } from 'preact/hooks';
import type { ShownMessage } from './api.ts';
import type { ViewProps } from './operator.tsx';
import { isBad, sayBytes, sayTime, sayZone } from './say.ts';
import { SendTo } from './send-to.tsx';
import { Stale } from './stale.tsx';
import { POLL_MS, usePolled } from './use-polled.ts';
import { messageLink } from './use-route.ts';
import { WideTable } from './wide-table.tsx';

export type Filter = Readonly<Record<string, string>>;

interface SearchViewProps extends ViewProps {
  /** What the address asks for: ids and states. */
  readonly given: URLSearchParams;
  /** What was asked last: who comes back from a message finds the search again. It ends with the sign-in. */
  readonly last: { current: Filter };
}

/** Fields of the search, by their parameter. Numbers of patients are kept out of the address, which stays in the history. */
const FIELDS: readonly (readonly [name: string, label: string, hint: string])[] = [
  ['controlId', 'Control ID', 'MSH-10'],
  ['mrn', 'MRN', 'PID-3'],
  ['accession', 'Accession', 'number'],
  ['type', 'Type', 'ORU^R01'],
  ['reason', 'Reason', 'code'],
  ['sender', 'Sender', 'MSH-3:MSH-4'],
  ['destination', 'Destination', 'name'],
  ['lane', 'Lane', 'name'],
];
const DIRECTIONS = ['in', 'out'];
const STATUSES = [
  'waiting',
  'filed',
  'refused',
  'held',
  'acknowledged',
  'rejected',
  'given-up',
  'dead',
  'superseded',
  'stopped',
  'discarded',
  'unmade',
];
const CLASSES = ['network', 'timeout', 'answered-error', 'answered-reject', 'answer', 'message', 'filing'];

export function SearchView({ api, onSignedOut, ask, given, last }: SearchViewProps) {
  const [filter, setFilter] = useState<Filter>(() =>
    given.size === 0 ? last.current : Object.fromEntries(given),
  );
  const [asked, setAsked] = useState<Filter>(filter);
  const [pages, setPages] = useState<readonly string[]>([]);
  const after = pages.at(-1) ?? '';
  const key = JSON.stringify([asked, after]);
  // Only the newest page changes by itself; on an older one rows must not move under the reader.
  const { data, fault } = usePolled(
    key,
    (signal) => api.search({ ...times(asked), after }, signal),
    onSignedOut,
    after === '' ? POLL_MS : 0,
  );
  const set = (name: string, value: string) => setFilter((before) => ({ ...before, [name]: value }));
  const searchFor = (next: Filter) => {
    // A link that asks for something goes on asking for that.
    if (given.size === 0) last.current = next;
    setFilter(next);
    setAsked(next);
    setPages([]);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    // What is pasted often has a blank before or behind it; one in the middle belongs to it ("AR 204").
    const entries = Object.entries(filter).map(([name, value]) => [name, value.trim()]);
    searchFor(Object.fromEntries(entries));
  };
  const goOn = (iso: string) => searchFor({ ...asked, from: localOf(iso) });
  const clear = () => searchFor({});
  return (
    <>
      <SearchForm {...{ filter, set, submit, clear }} />
      {data === null ? (
        <p class="nothing">{fault ?? 'Searching'}</p>
      ) : (
        <MessageTable messages={data.messages} />
      )}
      {data !== null && <Stale fault={fault} />}
      {asked['direction'] === 'out' && (data?.messages.length ?? 0) > 0 && (
        <SendTo {...{ api, onSignedOut, ask, goOn }} filter={times(asked)} />
      )}
      <div class="buttons">
        {pages.length > 0 && (
          <button type="button" onClick={() => setPages(pages.slice(0, -1))}>
            Newer
          </button>
        )}
        {data?.next && (
          <button type="button" onClick={() => setPages([...pages, data.next ?? ''])}>
            Older
          </button>
        )}
      </div>
    </>
  );
}

interface SearchFormProps {
  readonly filter: Filter;
  readonly set: (name: string, value: string) => void;
  readonly submit: (event: SubmitEvent) => void;
  readonly clear: () => void;
}

function SearchForm({ filter, set, submit, clear }: SearchFormProps) {
  return (
    <form class="search" onSubmit={submit} aria-label="Search for messages">
      <Choice name="direction" label="Direction" values={DIRECTIONS} filter={filter} set={set} />
      <Choice name="status" label="Status" values={STATUSES} filter={filter} set={set} />
      <Choice name="errorClass" label="Error class" values={CLASSES} filter={filter} set={set} />
      {FIELDS.map(([name, label, hint]) => (
        <label key={name}>
          {label}
          <input
            name={name}
            value={filter[name] ?? ''}
            placeholder={hint}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => set(name, event.currentTarget.value)}
          />
        </label>
      ))}
      {['from', 'to'].map((name) => (
        <label key={name}>
          {name === 'from' ? 'From' : 'To'}
          <input
            name={name}
            type="datetime-local"
            step="any"
            value={filter[name] ?? ''}
            onInput={(event) => set(name, event.currentTarget.value)}
          />
        </label>
      ))}
      <div class="buttons">
        <button type="submit" class="primary">
          Search
        </button>
        <button type="button" onClick={clear}>
          Clear
        </button>
      </div>
    </form>
  );
}

/** The server wants times with a zone; what is typed is of the zone of the one who types. */
function times(filter: Filter): Filter {
  const zoned = (name: string) => {
    const date = new Date(filter[name] ?? '');
    return Number.isNaN(date.getTime()) ? '' : date.toISOString();
  };
  return { ...filter, from: zoned('from'), to: zoned('to') };
}

/** An instant as a field of local date and time has it. */
function localOf(iso: string): string {
  const date = new Date(iso);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, -1);
}

interface ChoiceProps {
  readonly name: string;
  readonly label: string;
  readonly values: readonly string[];
  readonly filter: Filter;
  readonly set: (name: string, value: string) => void;
}

function Choice({ name, label, values, filter, set }: ChoiceProps) {
  return (
    <label>
      {label}
      <select
        name={name}
        value={filter[name] ?? ''}
        onChange={(event) => set(name, event.currentTarget.value)}
      >
        <option value="">any</option>
        {values.map((value) => (
          <option key={value} value={value}>
            {value}
          </option>
        ))}
      </select>
    </label>
  );
}

function MessageTable({ messages }: { messages: readonly ShownMessage[] }) {
  if (messages.length === 0) return <p class="nothing">No message fits.</p>;
  return (
    <WideTable name={`Messages, newest first. Times: ${sayZone()}`} cards>
      <thead>
        <tr>
          {[
            'Time',
            '',
            'Status',
            'Control ID',
            'Type',
            'From or to',
            'Reason',
            'MRN',
            'Accession',
            'Tries',
            'Size',
          ].map((name) => (
            <th key={name} scope="col" class={name === 'Tries' || name === 'Size' ? 'number' : ''}>
              {name === '' ? <span class="aside">Direction</span> : name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {messages.map((one) => (
          <tr key={`${one.direction} ${one.id}`}>
            <td class="time">{sayTime(one.at)}</td>
            <td>{one.direction}</td>
            <td data-name="Status">
              <span class={isBad(one.status) ? 'badge bad' : 'badge'}>{one.status}</span>
            </td>
            <td data-name="Control ID">
              <a href={messageLink(one.direction, one.id)}>{one.controlId === '' ? 'none' : one.controlId}</a>
            </td>
            <td data-name="Type">{one.type}</td>
            <td data-name="From or to">{one.partner}</td>
            <td data-name="Reason">{one.reason}</td>
            <td data-name="MRN">{one.mrn}</td>
            <td data-name="Accession">{one.accession}</td>
            <td class="number" data-name="Tries">
              {one.direction === 'out' ? one.attempts : one.repeats > 0 ? `+${one.repeats}` : ''}
            </td>
            <td class="number" data-name="Size">
              {sayBytes(one.bytes)}
            </td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}
