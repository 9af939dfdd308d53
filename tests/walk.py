"""Walks every operation of the OpenAPI document, with requests that mean something."""

import json
import time

# What a parameter or field of a name is given, so that an answer holds as much as there is.
VALUES = {
    "match[]": '{__name__=~".+"}', "matcher": '{__name__=~".+"}', "step": "60", "limit": "100", "label": "secret", "host": "bravomark",
    "field": "service", "fields": "service", "tags": "{}", "service": "bravomark-service", "targetSpanKind": "", "email": "",
}


class Walk:
    """The operations of a document, filled in with the identifiers of one organisation."""

    def __init__(self, document, ids, mark):
        self.document, self.ids, self.mark = document, ids, mark

    def operations(self):
        for path, item in sorted(self.document["paths"].items()):
            for method, operation in item.items():
                yield method.upper(), path, operation

    def path(self, template, tenant):
        """The path with a tenant and the other organisation's identifiers."""
        filled = template.replace("{tenant}", tenant)
        parts, out = filled.split("/"), []
        for at, part in enumerate(parts):
            if not part.startswith("{"):
                out.append(part)
                continue
            name, area = part.strip("{}*"), parts[at - 1]
            if area in self.ids:
                out.append(self.ids[area])
            elif name == "user":
                out.append(self.ids["members"])
            elif name == "kind":
                out.append("dashboard")
            elif area == "traces":
                out.append("0af7651916cd43dd8448eb211c80319c")
            elif area == "services" and "jaeger" not in template and "monitoring" not in template:
                out.append("store")
            elif name in ("service", "name") or area == "services":
                out.append(f"{self.mark}-service" if "service" in template else self.mark)
            elif name == "tag":
                out.append("secret")
            else:
                out.append(self.mark)
        return "/".join(out)

    def query(self, path, operation):
        return {p["name"]: value for p in operation.get("parameters", []) if p["in"] == "query"
                if (value := self.value(path, p["name"], p.get("schema", {}), p.get("required"))) is not None}

    def value(self, path, name, schema, required):
        if name == "query":
            promql = "/query" in path and "tempo" not in path and "monitoring" not in path or "parse" in path or "format" in path
            traceql = "tempo" in path
            return '{__name__=~".+"}' if promql else "{}" if traceql else ""
        if name == "q":
            return "{}"
        # What is saved is given this name, and the answer repeats it.
        if name == "name" and path.endswith("/prometheus/rules"):
            return "mine"
        if name in VALUES:
            return VALUES[name]
        if not required:
            return None
        if name in ("start", "end", "time"):
            return str(int(time.time()) - (3600 if name == "start" else -60))
        if schema.get("enum"):
            return schema["enum"][0]
        return "1" if schema.get("type") in ("integer", "number") else self.mark

    def body(self, operation):
        """The smallest body of the schema, as `(media type, bytes)`."""
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            schema = content["application/json"].get("schema", {})
            return "application/json", json.dumps(self.sample(schema)).encode()
        if "application/x-www-form-urlencoded" in content:
            return "application/x-www-form-urlencoded", None
        for media in content:
            return media, b""
        return None, None

    def sample(self, schema, depth=0):
        if schema is True or depth > 6:
            return {}
        if "$ref" in schema:
            return self.sample(self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], depth + 1)
        for some in ("anyOf", "oneOf", "allOf"):
            if some in schema:
                return self.sample(schema[some][0], depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            required = schema.get("required", [])
            return {name: self.field(name, schema["properties"][name], depth) for name in required if name in schema.get("properties", {})}
        if kind == "array":
            return []
        if kind in ("integer", "number"):
            return max(1, schema.get("minimum", 1))
        if kind == "boolean":
            return False
        if schema.get("format") == "date-time":
            return "2027-01-31T12:00:00Z"
        return "walk"

    def field(self, name, schema, depth):
        known = {"query": "SELECT * FROM logs", "role": "viewer", "email": "walker@alpha.test", "permissions": ["telemetry:read"],
                 "scopes": ["query"]}
        return known[name] if name in known else self.sample(schema, depth + 1)
