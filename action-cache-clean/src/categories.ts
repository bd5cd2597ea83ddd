/** What has a budget of its own. */
export const categories = ['registry', 'git', 'target', 'sccache', 'runner'] as const;
export type Category = (typeof categories)[number];
