import type { ComponentChildren } from 'preact';

interface WideTableProps {
  readonly name: string;
  /** On a narrow screen each row is a card; every cell has its name in `data-name`. */
  readonly cards?: boolean;
  readonly children: ComponentChildren;
}

/** A table that may be wider than the screen: it scrolls by itself, by the keyboard too, under the name of its caption. */
export function WideTable({ name, cards = false, children }: WideTableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section class={cards ? 'scroll cards' : 'scroll'} aria-label={name} tabIndex={0}>
      <table>
        <caption>{name}</caption>
        {children}
      </table>
    </section>
  );
}
