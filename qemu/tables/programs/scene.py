# SPDX-License-Identifier: GPL-2.0-only
"""A scene with many objects, materials and an animation, in Blender."""
import random
import time

import bpy

rng = random.Random(56)
for n in range(12):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=160, ring_count=90, location=(rng.gauss(0, 5), rng.gauss(0, 5), n))
    sphere = bpy.context.object
    for vertex in sphere.data.vertices:
        vertex.co *= 1 + rng.random() * 0.03
    sphere.modifiers.new("finer", "SUBSURF")
    material = bpy.data.materials.new(f"material {n}")
    material.diffuse_color = (rng.random(), rng.random(), rng.random(), 1)
    sphere.data.materials.append(material)
for n in range(1500):
    bpy.data.objects.new(f"empty {n}", None).location = (n, rng.random(), 0)
for frame in range(0, 250, 2):
    sphere.location.x = rng.random()
    sphere.keyframe_insert("location", frame=frame)
bpy.context.view_layer.update()
time.sleep(100)
