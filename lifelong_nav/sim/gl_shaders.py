"""GLSL of the GL renderer. Light is per vertex: llvmpipe pays for every vertex and every pixel."""

SOLID_VERTEX = """
#version 430 core
layout(location = 0) in vec4 in_position;  // w: which end of a capsule
layout(location = 1) in vec3 in_normal;
layout(location = 2) in vec4 in_row0;
layout(location = 3) in vec4 in_row1;
layout(location = 4) in vec4 in_row2;
layout(location = 5) in vec4 in_size;      // w: half length
layout(location = 6) in vec4 in_colour;    // w: texture layer
layout(location = 7) in float in_id;
uniform mat4 camera;
uniform vec3 sun;
uniform vec4 lie[LAYERS];
out vec3 v_colour;
out vec3 v_uv;
flat out float v_id;

void main() {
    vec3 local = in_position.xyz * in_size.xyz;
    local.z += in_position.w * in_size.w;
    vec4 at = vec4(local, 1.0);
    vec3 world = vec3(dot(in_row0, at), dot(in_row1, at), dot(in_row2, at));
    vec3 bent = in_normal / in_size.xyz;
    vec3 normal = normalize(vec3(dot(in_row0.xyz, bent), dot(in_row1.xyz, bent), dot(in_row2.xyz, bent)));
    float light = 0.72 + 0.05 * normal.z + 0.3 * max(dot(normal, sun), 0.0) + 0.05 * normal.x;
    light += 0.12 * max(-normal.z, 0.0);  // what the floor throws back

    float layer = in_colour.w;
    vec4 how = lie[int(layer)];
    bool level = abs(in_normal.z) > 0.5;
    bool end = abs(in_normal.x) > 0.5;
    vec3 p = how.z == 1.0 ? in_position.xyz + 0.5 : local;
    float up = how.z == 2.0 ? world.z : p.z;
    vec2 uv = level ? p.xy : vec2(end ? p.y : p.x, up);
    if (level && how.z == 1.0) { layer = 0.0; light *= 0.94; }
    v_uv = vec3(uv * how.xy, layer);
    v_colour = in_colour.rgb * light * 1.275;  // pictures hold 200 of 255 for the plain colour
    v_id = in_id;
    gl_Position = camera * vec4(world, 1.0);
}
"""

SOLID_FRAGMENT = """
#version 430 core
uniform sampler2DArray pictures;
in vec3 v_colour;
in vec3 v_uv;
flat in float v_id;
layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec2 out_data;

void main() {
    out_colour = vec4(v_colour * texture(pictures, v_uv).rgb, 1.0);
    out_data = vec2(1.0 / gl_FragCoord.w, v_id);
}
"""

SHADE_VERTEX = """
#version 430 core
layout(location = 0) in vec2 in_corner;    // -1..1
layout(location = 1) in vec4 in_place;     // x, y, cos, sin
layout(location = 2) in vec4 in_extent;    // half x, half y, softness, strength
uniform mat4 camera;
out vec2 v_at;
flat out vec4 v_extent;

void main() {
    v_at = in_corner * (in_extent.xy + in_extent.z);
    v_extent = in_extent;
    vec2 turned = mat2(in_place.z, in_place.w, -in_place.w, in_place.z) * v_at;
    gl_Position = camera * vec4(in_place.xy + turned, 0.006, 1.0);
}
"""

SHADE_FRAGMENT = """
#version 430 core
in vec2 v_at;
flat in vec4 v_extent;
layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec2 out_data;

void main() {
    vec2 outside = max(abs(v_at) - v_extent.xy, 0.0) / v_extent.z;
    float fall = max(1.0 - length(outside), 0.0);
    out_colour = vec4(0.0, 0.0, 0.0, v_extent.w * fall * fall);
    out_data = vec2(0.0);
}
"""
