/** What Caddy has by itself, of all versions since 2.6. */
export const httpDirectives = new Set([
  ...['abort', 'acme_server', 'basic_auth', 'basicauth', 'bind', 'copy_response', 'copy_response_headers', 'encode'],
  ...['error', 'file_server', 'forward_auth', 'fs', 'handle', 'handle_errors', 'handle_path', 'header', 'intercept'],
  ...[
    'invoke',
    'log',
    'log_append',
    'log_name',
    'log_skip',
    'map',
    'method',
    'metrics',
    'php_fastcgi',
    'push',
    'redir',
  ],
  ...[
    'request_body',
    'request_header',
    'respond',
    'reverse_proxy',
    'rewrite',
    'root',
    'route',
    'skip_log',
    'templates',
  ],
  ...['timeouts', 'tls', 'tracing', 'try_files', 'uri', 'vars'],
]);

export const globalOptions = new Set([
  ...['debug', 'http_port', 'https_port', 'default_bind', 'grace_period', 'shutdown_delay', 'default_sni'],
  ...['fallback_sni', 'order', 'storage', 'storage_check', 'storage_clean_interval', 'renew_interval', 'ocsp_interval'],
  ...['acme_ca', 'acme_ca_root', 'acme_dns', 'acme_eab', 'cert_issuer', 'skip_install_trust', 'email', 'admin'],
  ...['on_demand_tls', 'local_certs', 'key_type', 'auto_https', 'metrics', 'servers', 'ocsp_stapling', 'cert_lifetime'],
  ...['log', 'preferred_chains', 'persist_config', 'dns', 'tls_resolvers', 'ech', 'renewal_window_ratio', 'events'],
  ...['pki', 'filesystem'],
]);

export const matcherModules = new Set([
  ...['client_ip', 'expression', 'file', 'header', 'header_regexp', 'host', 'method', 'not', 'path', 'path_regexp'],
  ...['protocol', 'query', 'remote_ip', 'tls', 'url_pattern', 'vars', 'vars_regexp'],
]);

export const logWriters = new Set(['stdout', 'stderr', 'discard', 'file', 'net']);
export const logEncoders = new Set(['append', 'console', 'filter', 'journald', 'json']);

export const reverseProxyDirectives = new Set([
  ...['to', 'dynamic', 'lb_policy', 'lb_retries', 'lb_try_duration', 'lb_try_interval', 'lb_retry_match', 'health_uri'],
  ...['health_path', 'health_upstream', 'health_port', 'health_headers', 'health_method', 'health_request_body'],
  ...['health_interval', 'health_timeout', 'health_status', 'health_body', 'health_follow_redirects', 'health_passes'],
  ...['health_fails', 'max_fails', 'fail_duration', 'unhealthy_request_count', 'unhealthy_status', 'unhealthy_latency'],
  ...['flush_interval', 'request_buffers', 'response_buffers', 'stream_buffer_size', 'buffer_requests', 'verbose_logs'],
  ...['buffer_responses', 'max_buffer_size', 'stream_timeout', 'stream_close_delay', 'trusted_proxies', 'header_up'],
  ...['header_down', 'method', 'rewrite', 'transport', 'handle_response', 'replace_status'],
]);

/** Of plugins that people use: whether a server has them, no file says. */
export const pluginDirectives = new Set([
  ...[
    'rate_limit',
    'cache',
    'souin',
    'coraza_waf',
    'crowdsec',
    'appsec',
    'authenticate',
    'authorize',
    'authp',
    'security',
  ],
  ...[
    'geoip',
    'geoip2_vars',
    'maxmind_geolocation',
    'layer4',
    'dynamic_dns',
    'webdav',
    'exec',
    'git',
    'jwt',
    'jwtauth',
  ],
  ...['realip', 'trace', 'replace', 'minify', 'php_server', 'php', 'frankenphp', 'mercure', 'vulcain', 'cgi', 'brotli'],
  ...[
    'br',
    'umami',
    'defender',
    'sablier',
    'oauth2',
    'cors',
    'bot_barrier',
    'ratelimit',
    'http.rate_limit',
    'tailscale',
  ],
  ...['tailscale_auth', 'forward_proxy', 'trusted_proxies', 'rewrite_body', 'image_processor', 'tlsconsul', 'redis'],
  ...['consul', 's3', 'dynamodb', 'postgres', 'loki', 'transform', 'formatted', 'elastic', 'syslog', 'supervisor'],
]);
