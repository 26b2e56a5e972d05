import { type Point, type Span, touches } from './search/reach.ts';

export type { Span };

/** Finds those of many spans of one key that a span touches, without a look at the others. */
export interface SpanIndex<Value> {
  readonly size: number;
  /** Calls `found` for each that is touched. */
  touching(span: Span, found: (value: Value) => void): void;
}

/**
 * Sorted by where they begin; above them a tree of where the ones below it end last (a segment tree over the sorted list). Those that begin too late are cut
 * off, subtrees that all end too early are passed over: n spans of which k are touched cost about k · log n steps.
 */
export function indexSpans<Value>(
  all: readonly { readonly span: Span; readonly value: Value }[],
): SpanIndex<Value> {
  const sorted = [...all].sort((a, b) =>
    a.span.from < b.span.from ? -1 : a.span.from > b.span.from ? 1 : 0,
  );
  let leaves = 1;
  while (leaves < sorted.length) leaves *= 2;
  const last: (Point | undefined)[] = new Array(leaves * 2);
  for (const [at, { span }] of sorted.entries()) last[leaves + at] = span.to;
  for (let node = leaves - 1; node > 0; node--) last[node] = later(last[node * 2], last[node * 2 + 1]);

  const visit = (
    node: number,
    first: number,
    width: number,
    span: Span,
    found: (value: Value) => void,
  ): void => {
    const end = last[node];
    if (end === undefined || end < span.from) return;
    // Sorted: where this one begins too late, all behind it do.
    const here = sorted[first];
    if (!here || here.span.from > span.to) return;
    if (width === 1) {
      if (touches(here.span, span)) found(here.value);
      return;
    }
    const half = width / 2;
    visit(node * 2, first, half, span, found);
    visit(node * 2 + 1, first + half, half, span, found);
  };
  return { size: sorted.length, touching: (span, found) => visit(1, 0, leaves, span, found) };
}

const later = (a: Point | undefined, b: Point | undefined): Point | undefined =>
  a === undefined || (b !== undefined && b > a) ? b : a;
