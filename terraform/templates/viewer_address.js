// CloudFront runs this for each request. The firewall counts the callers by this header. It replaces
// one that a caller has sent: X-Forwarded-For would keep it, and AWS WAF reads only its first address.
function handler(event) {
    var request = event.request;
    request.headers['true-client-ip'] = { value: event.viewer.ip };
    return request;
}
