# A shared cache that follows the headers of the API, as the CloudFront distribution does. What is
# stored, and how long, is decided by the response alone: this file adds no life to any.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "ORIGIN_PORT";
    .first_byte_timeout = 30s;
}

acl this_machine { "127.0.0.1"; }

sub vcl_recv {
    # An invalidation: removes each response whose path begins like the header.
    if (req.method == "BAN") {
        if (client.ip !~ this_machine) {
            return (synth(403));
        }
        ban("obj.http.X-Edge-Url ~ " + req.http.X-Edge-Pattern);
        return (synth(200));
    }
    # Writes go past the cache. Every GET may use it: its response says whether it is stored.
    if (req.method != "GET") {
        return (pass);
    }
    unset req.http.Cookie;
    return (hash);
}

# The cache key is the path with all query parameters, and the API key. `Vary` adds the coding, and
# the origin where several are allowed.
sub vcl_hash {
    hash_data(req.url);
    hash_data("" + req.http.X-Api-Key);
    return (lookup);
}

sub vcl_backend_response {
    set beresp.http.X-Edge-Url = bereq.url;
    # A refresh in the background that fails leaves the response that it was to replace.
    if (bereq.is_bgfetch && beresp.status >= 500) {
        return (abandon);
    }
}

sub vcl_deliver {
    unset resp.http.X-Edge-Url;
    if (obj.uncacheable) {
        set resp.http.X-Cache = "pass";
    } elsif (obj.hits > 0) {
        set resp.http.X-Cache = "hit";
    } else {
        set resp.http.X-Cache = "miss";
    }
}
