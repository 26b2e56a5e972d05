import type { FindingRule } from '../../governance/manifest.ts';
import type { Finding, Inferred, ResultRegion } from '../../kernel/handoffs.ts';

/** Places of one finding that are told, best first. */
export const LOCATIONS_MAX = 20;

/**
 * A finding with where it lies: the boxes of its label from its lowest threshold on, the pieces of its segment, the bright part of its heat
 * map. A presence that is absent lies nowhere.
 */
export function withLocations(
  finding: Finding,
  rule: FindingRule,
  regions: NonNullable<Inferred['regions']>,
): Finding {
  const own = ownRegions(finding, rule, regions);
  if (own.length === 0) return finding;
  return { ...finding, locations: own.slice(0, LOCATIONS_MAX).map(({ location }) => location) };
}

function ownRegions(
  finding: Finding,
  rule: FindingRule,
  regions: NonNullable<Inferred['regions']>,
): readonly ResultRegion[] {
  if ('measures' in rule) return (regions[rule.measures] ?? []).filter(({ label }) => label === rule.of);
  if (finding.presence === 'absent') return [];
  const lowest = rule.threshold.indeterminate ?? rule.threshold.positive;
  const boxes = (regions[rule.from.output] ?? []).filter(
    ({ label, location }) => label === rule.from.label && (location.score ?? 0) >= lowest,
  );
  return boxes.length > 0 || rule.shown_by === undefined ? boxes : (regions[rule.shown_by] ?? []);
}
