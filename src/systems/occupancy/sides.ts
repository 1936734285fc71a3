/**
 * What an assignment says of its doorway, and what of that cannot be: one check, of plans before they are written, and of
 * what stands in the ledger, however it came there.
 *
 * A doorway that joins two spaces knows what is behind a sensor that faces one of them: who names one side has named both.
 */

/** An assignment or a doorway, as it is sent or as it stands. */
export type Item = Readonly<Record<string, unknown>>;
export type ItemsById = ReadonlyMap<string, Item>;

interface Sides {
  one: unknown;
  other: unknown;
}

function sidesOf({ one_side: one = null, other_side: other = null }: Item): Sides {
  return { one, other };
}

/** The side of a doorway that is not this one. */
export function across(doorway: Item, side: unknown): unknown {
  const { one, other } = sidesOf(doorway);
  return side === one ? other : one;
}

/**
 * Of an assignment as it stands, where a side that was not named is null like the outside: with the side that its doorway
 * knows, if that joins two spaces and the one that is named is one of them.
 */
export function sidesStanding<T extends string | null>(
  assignment: { doorway_id: T; faces: T; behind: T },
  doorways: ItemsById,
): { faces: T; behind: T } {
  const { doorway_id: id, faces, behind } = assignment;
  const doorway = id === null || (faces === null) === (behind === null) ? undefined : doorways.get(id);
  if (!doorway) return { faces, behind };
  const { one, other } = sidesOf(doorway);
  const named = faces ?? behind;
  if (one === null || other === null || (named !== one && named !== other)) return { faces, behind };
  const far = across(doorway, named) as T;
  return { faces: faces ?? far, behind: behind ?? far };
}

/** What is wrong with a space that is named; `known`: where it was looked for. */
export function spaceFault(id: unknown, what: string, spaces: ReadonlySet<string>, known: string) {
  return typeof id === 'string' && !spaces.has(id) && `${what} ${id}, which is no space of ${known}`;
}

/** What is wrong with where an assignment hangs, each fault a sentence. */
export function assignmentFaults(
  { doorway_id: id, faces = null, behind = null }: Item,
  spaces: ReadonlySet<string>,
  doorways: ItemsById,
  known: string,
): string[] {
  return [
    spaceFault(faces, 'it faces', spaces, known),
    spaceFault(behind, 'behind it is', spaces, known),
    doorwayFault(id, faces, behind, doorways, known),
  ].filter((fault) => fault !== false);
}

function doorwayFault(id: unknown, faces: unknown, behind: unknown, doorways: ItemsById, known: string) {
  if (id === undefined || id === null) return false;
  const doorway = doorways.get(String(id));
  if (!doorway) return `it hangs at ${id}, which is no doorway of ${known}`;
  const { one, other } = sidesOf(doorway);
  const fits = (one === faces && other === behind) || (one === behind && other === faces);
  const named = (side: unknown) => side ?? 'the outside';
  return (
    !(fits || (one === null && other === null)) &&
    `it stands between ${named(faces)} and ${named(behind)}, but the doorway ${id} joins ${named(one)} and ${named(other)}`
  );
}
