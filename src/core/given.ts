/** Objects without their undefined fields. */

/** `T` with every field that may be undefined made optional, and the others unchanged. */
export type Given<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/**
 * The fields that have a value, in order. An optional field may be missing but not undefined
 * (`exactOptionalPropertyTypes`): readers then have one case to consider, and what is written as JSON or passed to a
 * library has no key without a value. Null is a value.
 */
export function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
