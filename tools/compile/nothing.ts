/** Replaces a package that is imported but never used (tools/compile/main.ts). */
export {};
